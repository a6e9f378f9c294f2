{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'total_rows': 'is_total',
    'figures': {
        'Mean FTE': {
            'amount': 'mean_fte',
            'people': 'least_headcount',
            'round_to': 5,
            'only_where': 'not is_total',
            'type': 'numeric(9, 1)',
        },
        'Days lost per FTE': {
            'amount': 'days_lost_in_year / nullif(mean_fte, 0)',
            'people': 'least_headcount',
            'round_to': 0.1,
            'type': 'numeric(9, 1)',
        },
        'FTE days lost in 12 months': {
            'derived': '"Mean FTE" * "Days lost per FTE"',
            'only_where': 'not is_total',
            'type': 'numeric(9, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

workforce__fct_headcount_months as (

    select * from {{ ref('workforce__fct_headcount_months') }}

),

workforce__dim_organisation_units as (

    select * from {{ ref('workforce__dim_organisation_units') }}

),

months as (

    select
        workforce__fct_headcount_months.month_end_date,
        case
            when grouping(workforce__dim_organisation_units.directorate_name) = 1 then 'All directorates'
            else workforce__dim_organisation_units.directorate_name
        end as directorate_name,
        grouping(workforce__dim_organisation_units.directorate_name) = 1 as is_total,
        sum(workforce__fct_headcount_months.headcount) as headcount,
        sum(workforce__fct_headcount_months.fte) as fte,
        sum(workforce__fct_headcount_months.sickness_fte_days_lost) as fte_days_lost
    from workforce__fct_headcount_months
    inner join workforce__dim_organisation_units
        on
            workforce__fct_headcount_months.organisation_unit_key
            = workforce__dim_organisation_units.organisation_unit_key
    group by
        workforce__fct_headcount_months.month_end_date,
        grouping sets ((workforce__dim_organisation_units.directorate_name), ())

),

years as (

    select
        *,
        sum(fte_days_lost) over twelve_months as days_lost_in_year,
        avg(fte) over twelve_months as mean_fte,
        min(headcount) over twelve_months as least_headcount,
        count(*) over twelve_months as month_count
    from months
    window twelve_months as (partition by directorate_name order by month_end_date range interval '11 months' preceding)

),

disclosed as (

    {{ disclosed('years', disclosure) }}

),

final as (

    select
        month_end_date as "Month end",
        directorate_name as "Directorate",
        -- from the amounts of all directorates a reader could subtract those of the directorates that are shown
        "Mean FTE",
        "Days lost per FTE",
        "FTE days lost in 12 months",
        "Suppressed figures"
    from disclosed
    where month_count = 12

)

select * from final
