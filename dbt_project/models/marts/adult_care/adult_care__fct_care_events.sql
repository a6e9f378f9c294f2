with

int_care_events_unioned as (

    select * from {{ ref('int_care_events_unioned') }}

),

final as (

    select
        event_key,
        event_type,
        person_key,
        restriction,
        age_group,
        gender_code,
        ethnic_group,
        district_code,
        district_name,
        primary_support_reason_key,
        route_of_access,
        assessment_type,
        service_type,
        service_component,
        delivery_mechanism,
        review_reason,
        event_outcome,
        provider_name,
        cost_frequency,
        unit_cost_gbp,
        planned_units_per_week,
        weekly_cost_gbp,
        open_days,
        is_open,
        is_cost_in_doubt,
        is_open_after_death,
        event_start_date,
        event_end_date,
        as_at_date
    from int_care_events_unioned

)

select * from final
