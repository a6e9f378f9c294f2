with

source as (

    select * from {{ source('raw_procurement', 'contract') }}

),

renamed as (

    select
        -- ids
        {{ clean_text('contract_ref') }} as contract_reference,
        {{ clean_code('apar_id') }} as supplier_id,
        {{ clean_code('cpv_code') }} as cpv_code,

        -- text
        {{ clean_text('title') }} as contract_title,
        {{ clean_text('department') }} as department_name,
        {{ clean_text('apar_name') }} as supplier_name,
        {{ clean_text('procedure_name') }} as procedure_name,

        -- numbers
        annual_value as annual_value_gbp,

        -- booleans
        sme_flag = 'Y' as is_sme,
        vcse_flag = 'Y' as is_vcse,

        -- dates
        start_date,
        end_date,
        review_date,
        last_update as updated_at

    from source

)

select * from renamed
