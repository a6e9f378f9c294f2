with

source as (

    select * from {{ source('raw_confirm', 'site') }}

),

renamed as (

    select
        -- ids
        {{ usrn('site_code') }} as usrn,
        site_code as usrn_raw,
        {{ clean_code('site_class_code') }} as road_class_code,

        -- text
        {{ standard_street_name('site_name') }} as street_name,
        site_name as street_name_raw,
        {{ clean_text('locality_name') }} as locality_name,
        {{ clean_text('town_name') }} as town_name,

        -- numbers
        {{ known_coordinate('easting', 'northing') }} as easting,
        {{ known_coordinate('northing', 'easting') }} as northing

    from source

)

select * from renamed
