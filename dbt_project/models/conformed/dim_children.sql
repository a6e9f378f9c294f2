with

persons as (

    select * from {{ ref('stg_liquidlogic__persons') }}

),

person_addresses as (

    select * from {{ ref('stg_liquidlogic__person_addresses') }}

),

bridge_children_persons as (

    select * from {{ ref('bridge_children_persons') }}

),

pupil_ethnicities as (

    select * from {{ ref('pupil_ethnicities') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

latest_homes as (

    select distinct on (bridge_children_persons.child_key)
        bridge_children_persons.child_key,
        dim_postcodes.district_code,
        dim_postcodes.district_name
    from person_addresses
    inner join bridge_children_persons
        on person_addresses.person_token = bridge_children_persons.person_token
    inner join dim_postcodes
        on person_addresses.postcode_token = dim_postcodes.postcode_token
    where person_addresses.address_type_code = 'HOME'
    order by
        bridge_children_persons.child_key asc,
        person_addresses.started_date desc,
        person_addresses.person_address_id desc

),

final as (

    select
        bridge_children_persons.child_key,
        persons.sex_code,
        coalesce(pupil_ethnicities.ethnicity_name, 'Not known') as ethnicity_name,
        coalesce(pupil_ethnicities.ethnicity_group, 'Not known') as ethnic_group,
        latest_homes.district_code,
        latest_homes.district_name,
        persons.birth_month,
        persons.is_birth_date_estimated,
        persons.birth_month is null and persons.birth_date_fault is null as is_unborn,
        persons.death_date
    from bridge_children_persons
    inner join persons
        on bridge_children_persons.child_token = persons.person_token
    left join latest_homes
        on bridge_children_persons.child_key = latest_homes.child_key
    left join pupil_ethnicities
        on persons.ethnicity_code = pupil_ethnicities.ethnicity_code
    where bridge_children_persons.person_token = bridge_children_persons.child_token

)

select * from final
