with

requests as (

    select * from {{ ref('stg_mosaic__requests') }}

),

assessments as (

    select * from {{ ref('stg_mosaic__assessments') }}

),

services as (

    select * from {{ ref('stg_mosaic__services') }}

),

reviews as (

    select * from {{ ref('stg_mosaic__reviews') }}

),

int_care_services_conformed as (

    select * from {{ ref('int_care_services_conformed') }}

),

int_homes_dated as (

    select * from {{ ref('int_homes_dated') }}

),

int_care_people_conformed as (

    select * from {{ ref('int_care_people_conformed') }}

),

int_care_as_at_dated as (

    select * from {{ ref('int_care_as_at_dated') }}

),

dim_primary_support_reasons as (

    select * from {{ ref('dim_primary_support_reasons') }}

),

-- the first service of a person in residential or nursing care (NHS England, ASCOF 2B and 2C from Client Level Data)
admissions as (

    select distinct on (person_key) service_id
    from int_care_services_conformed
    where service_type in ('Long Term Support: Residential Care', 'Long Term Support: Nursing Care')
    order by person_key asc, start_date asc, service_id asc

),

long_term_services as (

    select *
    from int_care_services_conformed
    where is_long_term_support

),

-- reablement of people without long-term support before it, with what followed within seven days (ASCOF 2A)
reablement as (

    select
        int_care_services_conformed.service_id,
        case
            when
                exists (
                    select 1
                    from long_term_services as later
                    where
                        later.person_key = int_care_services_conformed.person_key
                        and later.start_date >= int_care_services_conformed.start_date
                        and later.start_date <= int_care_services_conformed.end_date + 7
                )
                then 'Long-term support'
            when int_care_people_conformed.date_of_death <= int_care_services_conformed.end_date + 7 then 'Died'
            else 'No long-term support'
        end as reablement_sequel
    from int_care_services_conformed
    cross join int_care_as_at_dated
    inner join int_care_people_conformed
        on int_care_services_conformed.person_key = int_care_people_conformed.person_key
    where
        int_care_services_conformed.service_type = 'Short Term Support: ST-Max'
        and int_care_services_conformed.end_date + 7 <= int_care_as_at_dated.as_at_date
        and not exists (
            select 1
            from long_term_services as earlier
            where
                earlier.person_key = int_care_services_conformed.person_key
                and earlier.start_date < int_care_services_conformed.start_date
                and coalesce(earlier.end_date, 'infinity') >= int_care_services_conformed.start_date - 1
        )

),

unioned as (

    select
        'Request' as event_type,
        request_id as event_id,
        null::bigint as service_id,
        person_token,
        age_years,
        primary_support_reason,
        route_of_access,
        null as assessment_type,
        null as review_reason,
        outcome as event_outcome,
        request_date as start_date,
        outcome_date as end_date
    from requests

    union all

    select
        'Assessment' as event_type,
        assessment_id as event_id,
        null as service_id,
        person_token,
        age_years,
        primary_support_reason,
        null as route_of_access,
        assessment_type,
        null as review_reason,
        outcome as event_outcome,
        start_date,
        end_date
    from assessments

    union all

    select
        'Service' as event_type,
        service_id as event_id,
        service_id,
        person_token,
        age_years,
        null as primary_support_reason,
        null as route_of_access,
        null as assessment_type,
        null as review_reason,
        null as event_outcome,
        start_date,
        null as end_date
    from services

    union all

    select
        'Review' as event_type,
        review_id as event_id,
        service_id,
        person_token,
        age_years,
        null as primary_support_reason,
        null as route_of_access,
        null as assessment_type,
        review_reason,
        outcome as event_outcome,
        start_date,
        end_date
    from reviews

),

-- a review takes its type of service from the service; costs and units are with the service only
described as (

    select
        unioned.*,
        int_care_services_conformed.service_type,
        int_care_services_conformed.service_component,
        coalesce(
            dim_primary_support_reasons.primary_support_reason_key,
            int_care_services_conformed.primary_support_reason_key
        ) as primary_support_reason_key,
        costed.delivery_mechanism,
        costed.provider_name,
        costed.cost_frequency,
        costed.unit_cost_gbp,
        costed.planned_units_per_week,
        costed.weekly_cost_gbp,
        coalesce(costed.is_cost_in_doubt, false) as is_cost_in_doubt,
        coalesce(costed.is_open_after_death, false) as is_open_after_death,
        admissions.service_id is not null as is_care_home_admission,
        reablement.reablement_sequel,
        coalesce(costed.end_date, unioned.end_date) as event_end_date
    from unioned
    left join int_care_services_conformed
        on unioned.service_id = int_care_services_conformed.service_id
    left join int_care_services_conformed as costed
        on
            unioned.service_id = costed.service_id
            and unioned.event_type = 'Service'
    left join admissions
        on costed.service_id = admissions.service_id
    left join reablement
        on costed.service_id = reablement.service_id
    left join dim_primary_support_reasons
        on unioned.primary_support_reason = dim_primary_support_reasons.primary_support_reason_name

),

final as (

    select
        {{ surrogate_key(['described.event_type', 'described.event_id']) }} as event_key,
        described.event_type,
        int_care_people_conformed.person_key,
        int_care_people_conformed.restriction,
        {{ age_group_of('described.age_years', 'int_care_people_conformed.birth_month') }} as age_group,
        int_care_people_conformed.gender_code,
        int_care_people_conformed.ethnic_group,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        {{ known_or_unknown('described.primary_support_reason_key') }} as primary_support_reason_key,
        described.route_of_access,
        described.assessment_type,
        described.service_type,
        described.service_component,
        described.delivery_mechanism,
        described.review_reason,
        described.event_outcome,
        described.reablement_sequel,
        described.provider_name,
        described.cost_frequency,
        described.unit_cost_gbp,
        described.planned_units_per_week,
        described.weekly_cost_gbp,
        greatest(
            least(described.event_end_date, int_care_as_at_dated.as_at_date) - described.start_date, 0
        ) as open_days,
        described.event_end_date is null as is_open,
        described.is_cost_in_doubt,
        described.is_open_after_death,
        described.is_care_home_admission,
        described.start_date as event_start_date,
        described.event_end_date,
        int_care_as_at_dated.as_at_date
    from described
    cross join int_care_as_at_dated
    left join int_care_people_conformed
        on described.person_token = int_care_people_conformed.person_token
    left join int_homes_dated
        on
            int_care_people_conformed.person_key = int_homes_dated.person_key
            and described.start_date <@ int_homes_dated.lived_there

)

select * from final
