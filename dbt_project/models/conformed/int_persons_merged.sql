with

bridge_persons_records as (

    select * from {{ ref('bridge_persons_records') }}

),

int_person_records_unioned as (

    select * from {{ ref('int_person_records_unioned') }}

),

person_survivorship as (

    select * from {{ ref('person_survivorship') }}

),

described as (

    select
        bridge_persons_records.person_id,
        bridge_persons_records.system_name,
        int_person_records_unioned.nhs_number_token,
        int_person_records_unioned.upn_token,
        int_person_records_unioned.sex_code,
        int_person_records_unioned.ethnicity_name,
        int_person_records_unioned.census_ethnic_group,
        int_person_records_unioned.restriction,
        int_person_records_unioned.birth_month,
        int_person_records_unioned.date_of_death,
        -- where systems differ, the value of the most trusted system is used; the token makes the order stable
        row_number() over (
            partition by bridge_persons_records.person_id
            order by person_survivorship.trust_rank nulls last, bridge_persons_records.person_token
        ) as trust_order
    from bridge_persons_records
    left join int_person_records_unioned
        on
            bridge_persons_records.system_name = int_person_records_unioned.system_name
            and bridge_persons_records.person_token = int_person_records_unioned.person_token
    left join person_survivorship
        on bridge_persons_records.system_name = person_survivorship.system_name
    where bridge_persons_records.is_current

),

final as (

    select
        person_id,
        {{ surviving('nhs_number_token') }} as nhs_number_token,
        {{ surviving('upn_token') }} as upn_token,
        {{ surviving('sex_code') }} as sex_code,
        {{ surviving('ethnicity_name') }} as ethnicity_name,
        {{ surviving('census_ethnic_group') }} as census_ethnic_group,
        case when bool_or(restriction = 'restricted') then 'restricted' else 'open' end as restriction,
        {{ surviving('system_name', 'birth_month') }} as birth_month_system_name,
        count(*)::integer as record_count,
        count(distinct system_name)::integer as system_count,
        count(distinct birth_month) > 1 as is_birth_month_in_doubt,
        {{ surviving('birth_month') }} as birth_month,
        {{ surviving('date_of_death') }} as date_of_death
    from described
    group by person_id

)

select * from final
