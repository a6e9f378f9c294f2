with

dim_streets as (

    select * from {{ ref('dim_streets') }}

),

final as (

    select
        street_key,
        usrn,
        street_name,
        locality_name,
        town_name,
        road_class_code,
        easting,
        northing,
        district_code,
        district_name
    from dim_streets

    union all

    select
        {{ unknown_key() }} as street_key,
        {{ unknown_code() }} as usrn,
        {{ unknown_code() }} as street_name,
        null as locality_name,
        null as town_name,
        null as road_class_code,
        null as easting,
        null as northing,
        null as district_code,
        null as district_name

)

select * from final
