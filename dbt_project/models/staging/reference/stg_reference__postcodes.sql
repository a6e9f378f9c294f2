with

source as (

    select * from {{ source('raw_reference', 'postcodes') }}

),

renamed as (

    select
        -- ids
        regexp_replace(upper(pcd), '^(\S+?)\s*(\S{3})$', '\1 \2') as postcode,
        pcd as postcode_raw,
        postcode as postcode_token,
        laua as district_code,

        -- numbers
        oseast1m as easting,
        osnrth1m as northing

    from source

)

select * from renamed
