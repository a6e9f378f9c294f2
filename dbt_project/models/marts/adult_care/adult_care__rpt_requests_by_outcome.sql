{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'known_totals': {'Requests': ['financial_year'], 'People': ['financial_year']},
    'figures': {
        'Requests': {'count': 'request_count', 'people': 'person_count'},
        'People': {'count': 'person_count', 'part_of': 'Requests'},
        'Median days to assessment': {
            'amount': 'median_assessment_days',
            'people': 'assessed_person_count',
            'round_to': 1,
            'type': 'numeric(9, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

adult_care__fct_request_outcomes as (

    select * from {{ ref('adult_care__fct_request_outcomes') }}

),

adult_care__dim_dates as (

    select * from {{ ref('adult_care__dim_dates') }}

),

counted as (

    select
        adult_care__dim_dates.financial_year,
        coalesce(adult_care__fct_request_outcomes.outcome, 'Not decided yet') as outcome,
        adult_care__fct_request_outcomes.age_group,
        count(*) as request_count,
        count(distinct adult_care__fct_request_outcomes.person_key) as person_count,
        count(distinct adult_care__fct_request_outcomes.person_key) filter (
            where adult_care__fct_request_outcomes.assessment_days is not null
        ) as assessed_person_count,
        percentile_cont(0.5) within group (
            order by adult_care__fct_request_outcomes.assessment_days
        ) as median_assessment_days
    from adult_care__fct_request_outcomes
    inner join adult_care__dim_dates
        on adult_care__fct_request_outcomes.request_date = adult_care__dim_dates.date_day
    group by
        adult_care__dim_dates.financial_year,
        coalesce(adult_care__fct_request_outcomes.outcome, 'Not decided yet'),
        adult_care__fct_request_outcomes.age_group

),

disclosed as (

    {{ disclosed('counted', disclosure) }}

),

final as (

    select
        financial_year as "Financial year",
        outcome as "Outcome",
        age_group as "Age group",
        "Requests",
        "People",
        "Median days to assessment",
        "Suppressed figures"
    from disclosed

)

select * from final
