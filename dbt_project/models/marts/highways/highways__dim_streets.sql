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

)

select * from final
