with

requests as (

    select * from {{ ref('stg_mosaic__requests') }}

),

assessments as (

    select * from {{ ref('stg_mosaic__assessments') }}

),

int_homes_dated as (

    select * from {{ ref('int_homes_dated') }}

),

int_care_people_conformed as (

    select * from {{ ref('int_care_people_conformed') }}

),

dim_primary_support_reasons as (

    select * from {{ ref('dim_primary_support_reasons') }}

),

assessed as (

    select
        requests.request_id,
        min(assessments.start_date) filter (
            where assessments.start_date >= requests.request_date
        ) as first_assessment_date,
        bool_or(assessments.start_date < requests.request_date) as is_assessed_before_request
    from requests
    inner join assessments
        on requests.request_id = assessments.request_id
    group by requests.request_id

),

final as (

    select
        {{ surrogate_key(['requests.request_id']) }} as request_key,
        int_care_people_conformed.person_key,
        int_care_people_conformed.restriction,
        {{ age_group_of('requests.age_years', 'int_care_people_conformed.birth_month') }} as age_group,
        int_care_people_conformed.gender_code,
        int_care_people_conformed.ethnic_group,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        requests.route_of_access,
        {{ known_or_unknown('dim_primary_support_reasons.primary_support_reason_key') }} as primary_support_reason_key,
        requests.outcome,
        requests.outcome_date - requests.request_date as outcome_days,
        assessed.first_assessment_date - requests.request_date as assessment_days,
        requests.outcome is null as is_open,
        coalesce(assessed.is_assessed_before_request, false) as is_assessed_before_request,
        requests.request_date,
        requests.outcome_date,
        assessed.first_assessment_date
    from requests
    left join int_care_people_conformed
        on requests.person_token = int_care_people_conformed.person_token
    left join int_homes_dated
        on
            int_care_people_conformed.person_key = int_homes_dated.person_key
            and requests.request_date <@ int_homes_dated.lived_there
    left join assessed
        on requests.request_id = assessed.request_id
    left join dim_primary_support_reasons
        on requests.primary_support_reason = dim_primary_support_reasons.primary_support_reason_name

)

select * from final
