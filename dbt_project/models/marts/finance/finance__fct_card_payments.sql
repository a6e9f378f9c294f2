with

card_transactions as (

    select * from {{ ref('stg_erp__card_transactions') }}

),

bridge_organisations_suppliers as (

    select * from {{ ref('bridge_organisations_suppliers') }}

),

final as (

    select
        {{ content_key([
            'card_transactions.paying_body_uri',
            'card_transactions.payment_date',
            'card_transactions.effective_date',
            'card_transactions.merchant_name_raw',
            'card_transactions.merchant_category_code',
            'card_transactions.organisational_unit_name',
            'card_transactions.purpose',
            'card_transactions.card_type_code',
            'card_transactions.net_amount_gbp',
            'card_transactions.irrecoverable_vat_gbp',
        ]) }} as card_payment_key,
        case
            when card_transactions.is_redacted then {{ withheld_key() }}
            else {{ known_or_unknown('bridge_organisations_suppliers.organisation_key') }}
        end as supplier_key,
        case when card_transactions.is_redacted then 'Redacted' else card_transactions.merchant_name end as payee_name,
        case
            when card_transactions.is_redacted then 'Redacted' else card_transactions.organisational_unit_name
        end as organisational_unit_name,
        case when card_transactions.is_redacted then 'Redacted' else card_transactions.account_name end as account_name,
        card_transactions.card_type_code,
        case
            when card_transactions.is_redacted then 'Redacted' else card_transactions.merchant_category_code
        end as merchant_category_code,
        case
            when card_transactions.is_redacted then 'Redacted' else card_transactions.merchant_category_name
        end as merchant_category_name,
        card_transactions.net_amount_gbp,
        card_transactions.irrecoverable_vat_gbp,
        card_transactions.net_amount_gbp + card_transactions.irrecoverable_vat_gbp as gross_amount_gbp,
        card_transactions.is_redacted,
        card_transactions.net_amount_gbp < 0 as is_credit_note,
        card_transactions.payment_date,
        card_transactions.effective_date
    from card_transactions
    left join bridge_organisations_suppliers
        on
            {{ surrogate_key(["'card'", 'null', 'card_transactions.merchant_name']) }}
            = bridge_organisations_suppliers.supplier_spelling_key
            and not card_transactions.is_redacted

)

select * from final
