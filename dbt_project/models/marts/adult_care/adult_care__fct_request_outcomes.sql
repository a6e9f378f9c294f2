with

int_care_requests_conformed as (

    select * from {{ ref('int_care_requests_conformed') }}

),

final as (

    select
        request_key,
        person_key,
        restriction,
        age_group,
        gender_code,
        ethnic_group,
        district_code,
        district_name,
        route_of_access,
        primary_support_reason_key,
        outcome,
        outcome_days,
        assessment_days,
        is_open,
        is_assessed_before_request,
        request_date,
        outcome_date,
        first_assessment_date
    from int_care_requests_conformed

)

select * from final
