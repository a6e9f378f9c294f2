{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'known_totals': {'Children looked after': ['month_end_date']},
    'total_rows': 'is_total',
    'figures': {
        'Children looked after': {'count': 'child_count'},
        'Aged under 5': {
            'count': 'under_5_count',
            'only_where': 'is_total',
            'part_of': 'Children looked after',
        },
        'Aged 16 and 17': {
            'count': 'over_15_count',
            'only_where': 'is_total',
            'part_of': 'Children looked after',
        },
        'Mean days looked after': {
            'amount': 'mean_days',
            'people': 'child_count',
            'round_to': 30,
            'type': 'numeric(9, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

children__fct_looked_after_months as (

    select * from {{ ref('children__fct_looked_after_months') }}

),

counted as (

    select
        month_end_date,
        grouping(placement_group) = 1 as is_total,
        case when grouping(placement_group) = 1 then 'All placements' else placement_group end as placement_group,
        count(*) as child_count,
        count(*) filter (where age_years < 5) as under_5_count,
        count(*) filter (where age_years in (16, 17)) as over_15_count,
        avg(days_looked_after) as mean_days,
        max(as_at_date) as as_at_date
    from children__fct_looked_after_months
    group by month_end_date, grouping sets ((placement_group), ())

),

disclosed as (

    {{ disclosed('counted', disclosure) }}

),

final as (

    select
        month_end_date as "Month end",
        placement_group as "Placement",
        -- ages are shown in the total only: ages of each placement would be more parts of it
        "Children looked after",
        "Aged under 5",
        "Aged 16 and 17",
        "Mean days looked after",
        as_at_date as "As at",
        "Suppressed figures"
    from disclosed

)

select * from final
