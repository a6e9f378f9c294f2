with

source as (

    select * from {{ source('raw_procurement', 'apoheader') }}

),

renamed as (

    select
        -- ids
        order_id,
        {{ clean_code('apar_id') }} as supplier_id,
        {{ clean_text('contract_ref') }} as contract_reference,

        -- booleans
        status = 'N' as is_open,

        -- dates
        order_date,
        last_update as updated_at

    from source

)

select * from renamed
