with

sites as (

    select * from {{ ref('stg_confirm__sites') }}

),

int_places_located as (

    select * from {{ ref('int_places_located') }}

),

-- a number with and without its leading zero is one street; the row with the complete number describes it best
streets as (

    select distinct on (usrn) *
    from sites
    where usrn is not null
    order by usrn asc, usrn = usrn_raw desc, usrn_raw asc

),

final as (

    select
        {{ surrogate_key(['streets.usrn']) }} as street_key,
        streets.usrn,
        streets.street_name,
        streets.locality_name,
        streets.town_name,
        streets.road_class_code,
        streets.easting,
        streets.northing,
        int_places_located.district_code,
        int_places_located.district_name
    from streets
    left join int_places_located
        on
            streets.easting = int_places_located.easting
            and streets.northing = int_places_located.northing

)

select * from final
