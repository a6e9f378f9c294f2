with

int_supplier_payments_conformed as (

    select * from {{ ref('int_supplier_payments_conformed') }}

),

final as (

    select
        payment_key,
        organisation_key as supplier_key,
        cost_centre_key,
        transaction_number,
        invoice_number,
        payee_reference,
        payee_name,
        payee_vat_number,
        organisational_unit_name,
        account_name,
        proclass_code,
        proclass_name,
        net_amount_gbp,
        irrecoverable_vat_gbp,
        gross_amount_gbp,
        is_redacted,
        is_credit_note,
        is_over_500,
        is_on_contract,
        payment_date,
        effective_date
    from int_supplier_payments_conformed

)

select * from final
