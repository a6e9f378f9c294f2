with

persons as (

    select * from {{ ref('stg_liquidlogic__persons') }}

),

bridge_children_persons as (

    select * from {{ ref('bridge_children_persons') }}

),

pupil_ethnicities as (

    select * from {{ ref('pupil_ethnicities') }}

),

int_homes_dated as (

    select * from {{ ref('int_homes_dated') }}

),

final as (

    select
        bridge_children_persons.child_key,
        persons.sex_code,
        coalesce(pupil_ethnicities.ethnicity_name, 'Not known') as ethnicity_name,
        coalesce(pupil_ethnicities.ethnicity_group, 'Not known') as ethnic_group,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        persons.birth_month,
        persons.is_birth_date_estimated,
        persons.birth_month is null and persons.birth_date_fault is null as is_unborn,
        persons.death_date
    from bridge_children_persons
    inner join persons
        on bridge_children_persons.child_token = persons.person_token
    left join int_homes_dated
        on
            bridge_children_persons.child_key = int_homes_dated.person_key
            and upper_inf(int_homes_dated.lived_there)
    left join pupil_ethnicities
        on persons.ethnicity_code = pupil_ethnicities.ethnicity_code
    where bridge_children_persons.person_token = bridge_children_persons.child_token

)

select * from final
