with

source as (

    select * from {{ source('raw_erp', 'card_transactions') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        {{ clean_code('merchant_category_code') }} as merchant_category_code,
        {{ clean_code('card_transaction') }} as card_type_code,

        -- text
        {{ clean_text('organisation_label') }} as paying_body_name,
        {{ clean_text('organisation_uri') }} as paying_body_uri,
        {{ clean_code('organisational_unit') }} as organisational_unit_name,
        -- an order number follows the asterisk
        {{ clean_text("split_part(beneficiary_name, '*', 1)") }} as merchant_name,
        beneficiary_name as merchant_name_raw,
        {{ clean_code('category_internal_name') }} as merchant_category_name,
        -- "Purchase <merchant> for <account>"
        {%- set account = "upper(" ~ clean_code("substring(purpose from '^.* for (.*)$')") ~ ")" %}
        {{ listed(account, code_list('ledger_account')) }} as account_name,
        purpose,

        -- numbers
        amount as net_amount_gbp,
        coalesce(irrecoverable_vat_amount, 0) as irrecoverable_vat_gbp,

        -- booleans
        {{ is_redacted('beneficiary_name') }} as is_redacted,

        -- dates
        effective_date,
        payment_date

    from source

)

select * from renamed
