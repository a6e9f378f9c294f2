-- Stays without gaps: a stay lasts until the next one begins, and the first stay includes all days before it.
with

care_addresses as (

    select * from {{ ref('stg_mosaic__addresses') }}

),

children_addresses as (

    select * from {{ ref('stg_liquidlogic__person_addresses') }}

),

bridge_children_persons as (

    select * from {{ ref('bridge_children_persons') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

stays as (

    select
        {{ person_key('adult_care', 'person_token') }} as person_key,
        ref_addresses_people_id as stay_id,
        postcode_token,
        start_date
    from care_addresses

    union all

    select
        bridge_children_persons.child_key as person_key,
        children_addresses.person_address_id as stay_id,
        children_addresses.postcode_token,
        children_addresses.started_date as start_date
    from children_addresses
    inner join bridge_children_persons
        on children_addresses.person_token = bridge_children_persons.person_token
    where children_addresses.address_type_code = 'HOME'

),

one_a_day as (

    select distinct on (person_key, start_date)
        person_key,
        start_date,
        postcode_token
    from stays
    order by person_key asc, start_date asc, stay_id desc

),

final as (

    select
        {{ surrogate_key(['one_a_day.person_key', 'one_a_day.start_date']) }} as home_key,
        one_a_day.person_key,
        daterange(
            case when lag(one_a_day.person_key) over stays_of_one is not null then one_a_day.start_date end,
            lead(one_a_day.start_date) over stays_of_one
        ) as lived_there,
        dim_postcodes.district_code,
        dim_postcodes.district_name
    from one_a_day
    left join dim_postcodes
        on one_a_day.postcode_token = dim_postcodes.postcode_token
    window stays_of_one as (
        partition by one_a_day.person_key
        order by one_a_day.start_date nulls first
    )

)

select * from final
