with

int_card_payments_conformed as (

    select * from {{ ref('int_card_payments_conformed') }}

),

final as (

    select
        card_payment_key,
        organisation_key as supplier_key,
        payee_name,
        organisational_unit_name,
        account_name,
        card_type_code,
        merchant_category_code,
        merchant_category_name,
        net_amount_gbp,
        irrecoverable_vat_gbp,
        gross_amount_gbp,
        is_redacted,
        is_credit_note,
        payment_date,
        effective_date
    from int_card_payments_conformed

)

select * from final
