with

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

sites as (

    select * from {{ ref('stg_confirm__sites') }}

),

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

defects as (

    select * from {{ ref('stg_confirm__defects') }}

),

places as (

    select
        easting,
        northing
    from sites
    union
    select
        easting,
        northing
    from enquiries
    union
    select
        easting,
        northing
    from defects

),

nearest as (

    select
        places.easting,
        places.northing,
        nearest_postcode.postcode,
        nearest_postcode.district_code,
        nearest_postcode.district_name,
        nearest_postcode.distance_metres
    from places
    inner join lateral (
        select
            dim_postcodes.postcode,
            dim_postcodes.district_code,
            dim_postcodes.district_name,
            point(dim_postcodes.easting, dim_postcodes.northing)
            <-> point(places.easting::float, places.northing::float) as distance_metres
        from dim_postcodes
        order by distance_metres
        limit 1
    ) as nearest_postcode on true
    where places.easting is not null

),

final as (

    select
        easting,
        northing,
        postcode,
        district_code,
        district_name,
        round(distance_metres)::integer as distance_metres
    from nearest
    -- a place farther from every postcode of the county is outside the county or has wrong coordinates
    where distance_metres <= 2000

)

select * from final
