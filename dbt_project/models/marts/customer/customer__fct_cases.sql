with

int_cases_conformed as (

    select * from {{ ref('int_cases_conformed') }}

),

customer__dim_services as (

    select * from {{ ref('customer__dim_services') }}

),

final as (

    select
        int_cases_conformed.case_key,
        int_cases_conformed.person_key,
        int_cases_conformed.case_reference,
        int_cases_conformed.case_type_code,
        int_cases_conformed.case_type_name,
        {{ known_or_unknown('customer__dim_services.service_key') }} as service_key,
        int_cases_conformed.service_name,
        int_cases_conformed.channel_code,
        int_cases_conformed.channel_name,
        int_cases_conformed.district_code,
        int_cases_conformed.district_name,
        int_cases_conformed.state_name,
        int_cases_conformed.reopened_count,
        int_cases_conformed.contact_count,
        int_cases_conformed.service_level_hours,
        int_cases_conformed.close_working_hours,
        int_cases_conformed.age_working_hours,
        int_cases_conformed.is_open,
        int_cases_conformed.is_reopened,
        int_cases_conformed.is_resolved_first_time,
        int_cases_conformed.is_within_service_level,
        int_cases_conformed.is_within_source_deadline,
        int_cases_conformed.is_closed_before_created,
        {{ local_time('int_cases_conformed.created_at') }} as created_at,
        {{ local_time('int_cases_conformed.closed_at') }} as closed_at,
        int_cases_conformed.created_date,
        int_cases_conformed.closed_date,
        int_cases_conformed.as_at_date
    from int_cases_conformed
    left join customer__dim_services
        on
            int_cases_conformed.service_code = customer__dim_services.service_code
            and {{ is_in_force('customer__dim_services', 'int_cases_conformed.created_date') }}
    where not int_cases_conformed.is_test

)

select * from final
