-- The index serves the search for the postcode nearest to a place, because PostGIS is not installed.
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
