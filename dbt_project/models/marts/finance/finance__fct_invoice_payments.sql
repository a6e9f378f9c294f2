with

int_invoices_conformed as (

    select * from {{ ref('int_invoices_conformed') }}

),

final as (

    select
        invoice_key,
        transaction_number,
        invoice_number,
        organisation_key as supplier_key,
        contract_key,
        net_amount_gbp,
        ordered_gbp,
        payment_days,
        is_paid_in_30_days,
        late_days,
        interest_rate_pct,
        interest_owed_gbp,
        is_disputed,
        is_paid,
        has_order,
        is_ordered_after_invoice,
        is_after_contract_end,
        is_off_contract,
        invoice_date,
        received_date,
        due_date,
        paid_date,
        as_at_date
    from int_invoices_conformed

)

select * from final
