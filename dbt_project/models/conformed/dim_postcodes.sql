-- The index is what makes "the nearest postcode" of a place quick to find; there is no PostGIS here.
{{ config(indexes=[{'columns': ['point(easting, northing)'], 'type': 'gist'}]) }}

with

postcodes as (

    select * from {{ ref('stg_reference__postcodes') }}

),

districts as (

    select * from {{ ref('districts') }}

),

final as (

    select
        postcodes.postcode,
        postcodes.postcode_token,
        postcodes.district_code,
        districts.district_name,
        postcodes.easting,
        postcodes.northing
    from postcodes
    left join districts
        on postcodes.district_code = districts.district_code

)

select * from final
