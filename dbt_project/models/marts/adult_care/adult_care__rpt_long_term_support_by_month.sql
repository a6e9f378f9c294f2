{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'known_totals': {'People': ['month_end_date']},
    'figures': {
        'People': {'count': 'person_count'},
        'Weekly cost per person in pounds': {
            'amount': 'weekly_cost_gbp / person_count',
            'people': 'costed_person_count',
            'round_to': 50,
            'type': 'numeric(12, 2)',
        },
        'Weekly cost in pounds': {
            'derived': '"People" * "Weekly cost per person in pounds"',
            'type': 'numeric(12, 2)',
        },
        'Services without a cost': {'count': 'service_count - costed_count'},
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

adult_care__fct_long_term_support_months as (

    select * from {{ ref('adult_care__fct_long_term_support_months') }}

),

counted as (

    select
        month_end_date,
        service_type,
        age_group,
        count(distinct person_key) as person_count,
        count(distinct person_key) filter (where weekly_cost_gbp is not null) as costed_person_count,
        count(weekly_cost_gbp) as costed_count,
        count(*) as service_count,
        sum(weekly_cost_gbp) as weekly_cost_gbp
    from adult_care__fct_long_term_support_months
    group by
        month_end_date,
        service_type,
        age_group

),

disclosed as (

    {{ disclosed('counted', disclosure) }}

),

final as (

    select
        month_end_date as "Month end",
        replace(service_type, 'Long Term Support: ', '') as "Support",
        age_group as "Age group",
        "People",
        "Weekly cost per person in pounds",
        "Weekly cost in pounds",
        "Services without a cost",
        "Suppressed figures"
    from disclosed

)

select * from final
