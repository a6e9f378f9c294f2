with

source as (

    select * from {{ source('raw_confirm', 'site_ward') }}

),

renamed as (

    select
        -- ids
        {{ usrn('site_code') }} as usrn,
        site_code as usrn_raw,
        {{ clean_code('ward_code') }} as ward_code,

        -- dates
        start_date as valid_from_date,
        end_date as valid_to_date

    from source

)

select * from renamed
