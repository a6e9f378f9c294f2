with

source as (

    select * from {{ source('raw_confirm', 'ward') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('ward_code') }} as ward_code,
        {{ clean_code('district_code') }} as district_code,

        -- text
        {{ clean_text('ward_name') }} as ward_name,

        -- dates
        start_date as valid_from_date,
        end_date as valid_to_date,
        last_update as updated_at

    from source

)

select * from renamed
