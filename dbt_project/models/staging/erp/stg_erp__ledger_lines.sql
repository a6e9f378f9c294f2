with

source as (

    select * from {{ source('raw_erp', 'ledger_lines') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        {{ clean_text('transaction_number') }} as transaction_number,
        {{ clean_code('invoice_number') }} as invoice_number,
        {{ clean_code('beneficiary_other_id') }} as supplier_id,
        {{ clean_code('profit_centre') }} as cost_centre_code,
        {{ clean_code('proclass_code') }} as proclass_code,
        {{ vat_number('vat_registration_number') }} as vat_number,
        {{ clean_code('vat_registration_number') }} as vat_number_raw,

        -- text
        {{ clean_text('organisation_label') }} as paying_body_name,
        {{ clean_text('organisation_uri') }} as paying_body_uri,
        {{ clean_code('organisational_unit') }} as organisational_unit_name,
        {{ clean_text('beneficiary_name') }} as supplier_name,
        {{ clean_code('proclass_label') }} as proclass_name,
        -- the name of the account comes first, then free text for the line
        {{ listed(clean_code("split_part(purpose, ' - ', 1)"), code_list('ledger_account')) }} as account_name,
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
