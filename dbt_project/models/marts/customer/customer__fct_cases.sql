with

int_cases_conformed as (

    select * from {{ ref('int_cases_conformed') }}

),

final as (

    select
        case_key,
        person_key,
        case_reference,
        case_type_code,
        case_type_name,
        service_name,
        channel_code,
        channel_name,
        district_code,
        district_name,
        state_name,
        reopened_count,
        contact_count,
        service_level_hours,
        close_working_hours,
        age_working_hours,
        is_open,
        is_reopened,
        is_resolved_first_time,
        is_within_service_level,
        is_within_source_deadline,
        is_closed_before_created,
        created_at,
        closed_at,
        created_date,
        closed_date,
        as_at_date
    from int_cases_conformed
    where not is_test

)

select * from final
