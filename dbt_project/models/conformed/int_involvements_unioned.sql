-- Each part of the union identifies people by the key of its publish set.
with

bridge_persons_sets as (

    select * from {{ ref('bridge_persons_sets') }}

),

int_care_services_conformed as (

    select * from {{ ref('int_care_services_conformed') }}

),

int_referrals_conformed as (

    select * from {{ ref('int_referrals_conformed') }}

),

int_protection_plans_conformed as (

    select * from {{ ref('int_protection_plans_conformed') }}

),

int_care_episodes_conformed as (

    select * from {{ ref('int_care_episodes_conformed') }}

),

int_ehcps_conformed as (

    select * from {{ ref('int_ehcps_conformed') }}

),

int_members_conformed as (

    select * from {{ ref('int_members_conformed') }}

),

int_cases_conformed as (

    select * from {{ ref('int_cases_conformed') }}

),

times_in_care as (

    select
        child_key,
        care_began_date,
        case when bool_and(ended_date is not null) then max(ended_date) end as ended_date
    from int_care_episodes_conformed
    group by child_key, care_began_date

),

unioned as (

    select
        'adult_care' as publish_set,
        person_key as set_person_key,
        'Adult social care' as service_area_name,
        service_type as involvement_name,
        care_service_key::text as involvement_reference,
        start_date as began_date,
        end_date as ended_date
    from int_care_services_conformed

    union all

    select
        'children' as publish_set,
        child_key as set_person_key,
        'Children and families' as service_area_name,
        'Referral' as involvement_name,
        referral_key::text as involvement_reference,
        referred_date as began_date,
        closed_date as ended_date
    from int_referrals_conformed

    union all

    select
        'children' as publish_set,
        child_key as set_person_key,
        'Children and families' as service_area_name,
        'Child protection plan' as involvement_name,
        protection_plan_key::text as involvement_reference,
        began_date,
        ended_date
    from int_protection_plans_conformed

    union all

    select
        'children' as publish_set,
        child_key as set_person_key,
        'Children and families' as service_area_name,
        'Looked after' as involvement_name,
        care_began_date::text as involvement_reference,
        care_began_date as began_date,
        ended_date
    from times_in_care

    union all

    select
        'education' as publish_set,
        person_key as set_person_key,
        'Special educational needs' as service_area_name,
        'Education, health and care plan' as involvement_name,
        ehcp_key::text as involvement_reference,
        issued_date as began_date,
        null::date as ended_date
    from int_ehcps_conformed
    where issued_date is not null

    union all

    select
        'libraries' as publish_set,
        int_members_conformed.person_key as set_person_key,
        'Libraries' as service_area_name,
        'Membership' as involvement_name,
        int_members_conformed.person_key::text as involvement_reference,
        int_members_conformed.enrolled_date as began_date,
        case
            when int_members_conformed.expiry_date <= int_members_conformed.as_at_date
                then int_members_conformed.expiry_date
        end as ended_date
    from int_members_conformed
    where not int_members_conformed.is_staff_card and not int_members_conformed.is_deceased

    union all

    select
        'customer' as publish_set,
        person_key as set_person_key,
        'Customer services' as service_area_name,
        'Case: ' || service_name as involvement_name,
        case_key::text as involvement_reference,
        created_date as began_date,
        closed_date as ended_date
    from int_cases_conformed
    where not is_test

),

final as (

    select
        {{ surrogate_key([
            'unioned.service_area_name', 'unioned.involvement_name', 'unioned.set_person_key',
            'unioned.involvement_reference'
        ]) }} as involvement_key,
        bridge_persons_sets.person_id,
        unioned.service_area_name,
        unioned.involvement_name,
        unioned.ended_date is null as is_open,
        unioned.began_date,
        unioned.ended_date
    from unioned
    inner join bridge_persons_sets
        on
            unioned.publish_set = bridge_persons_sets.publish_set
            and unioned.set_person_key = bridge_persons_sets.set_person_key

)

select * from final
