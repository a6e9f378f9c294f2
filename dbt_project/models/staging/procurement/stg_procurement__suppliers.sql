with

source as (

    select * from {{ source('raw_procurement', 'asuheader') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('apar_id') }} as supplier_id,
        {{ company_number('comp_reg_no') }} as company_number,
        {{ clean_text('comp_reg_no') }} as company_number_raw,
        {{ charity_number('charity_no') }} as charity_number,
        {{ clean_text('charity_no') }} as charity_number_raw,
        {{ vat_number('vat_reg_no') }} as vat_number,
        {{ clean_text('vat_reg_no') }} as vat_number_raw,
        utr as utr_token,

        -- text
        {{ clean_text('apar_name') }} as supplier_name,
        utr_fault,

        -- dates
        last_update as updated_at

    from source

)

select * from renamed
