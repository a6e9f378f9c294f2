with

schools as (

    select * from {{ ref('stg_capita__schools') }}

),

bridge_schools_urns as (

    select * from {{ ref('bridge_schools_urns') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

int_enrolments_conformed as (

    select * from {{ ref('int_enrolments_conformed') }}

),


rolls as (

    select
        school_key,
        count(distinct person_key) as pupils_on_roll
    from int_enrolments_conformed
    where is_current
    group by school_key

),

latest as (

    select distinct on (bridge_schools_urns.school_key)
        bridge_schools_urns.school_key,
        schools.urn,
        schools.laestab,
        schools.school_name,
        schools.phase_name,
        schools.postcode,
        schools.predecessor_urn,
        schools.opened_date,
        schools.closed_date
    from schools
    inner join bridge_schools_urns
        on schools.urn = bridge_schools_urns.urn
    order by bridge_schools_urns.school_key asc, schools.opened_date desc

),

final as (

    select
        latest.school_key,
        latest.urn,
        latest.laestab,
        latest.school_name,
        latest.phase_name,
        dim_postcodes.district_code,
        dim_postcodes.district_name,
        coalesce(rolls.pupils_on_roll, 0) as pupils_on_roll,
        latest.closed_date is null as is_open,
        case when latest.predecessor_urn is not null then latest.opened_date end as converted_date
    from latest
    left join rolls
        on latest.school_key = rolls.school_key
    left join dim_postcodes
        on latest.postcode = dim_postcodes.postcode

    union all

    select
        {{ unknown_key() }} as school_key,
        {{ unknown_code() }} as urn,
        null as laestab,
        {{ unknown_code() }} as school_name,
        null as phase_name,
        null as district_code,
        null as district_name,
        null as pupils_on_roll,
        null as is_open,
        null as converted_date

)

select * from final
