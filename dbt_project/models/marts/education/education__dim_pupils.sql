with

pupils as (

    select * from {{ ref('stg_capita__pupils') }}

),

bridge_pupils_upns as (

    select * from {{ ref('bridge_pupils_upns') }}

),

pupil_ethnicities as (

    select * from {{ ref('pupil_ethnicities') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

int_enrolments_conformed as (

    select * from {{ ref('int_enrolments_conformed') }}

),

int_ehcps_conformed as (

    select * from {{ ref('int_ehcps_conformed') }}

),


rolls as (

    select distinct on (person_key)
        person_key,
        school_key,
        nc_year
    from int_enrolments_conformed
    where is_current
    order by person_key asc, entry_date desc

),

plans as (

    select distinct person_key
    from int_ehcps_conformed
    where issued_date is not null

),

final as (

    select
        bridge_pupils_upns.person_key,
        rolls.school_key,
        rolls.nc_year,
        pupils.sex_code,
        pupil_ethnicities.ethnicity_code,
        pupil_ethnicities.ethnicity_name,
        pupil_ethnicities.ethnicity_group,
        dim_postcodes.district_code,
        dim_postcodes.district_name,
        rolls.person_key is not null as is_on_roll,
        plans.person_key is not null as has_ehcp
    from pupils
    inner join bridge_pupils_upns
        on pupils.upn_token = bridge_pupils_upns.upn_token
    left join pupil_ethnicities
        on pupils.ethnicity_code = pupil_ethnicities.ethnicity_code
    left join dim_postcodes
        on pupils.postcode_token = dim_postcodes.postcode_token
    left join rolls
        on bridge_pupils_upns.person_key = rolls.person_key
    left join plans
        on bridge_pupils_upns.person_key = plans.person_key

)

select * from final
