{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'known_totals': {'Headcount': ['month_end_date']},
    'figures': {
        'Headcount': {'count': 'headcount'},
        'FTE': {'amount': 'fte', 'people': 'headcount', 'round_to': 5, 'type': 'numeric(9, 1)'},
        'Leavers in 12 months': {'count': 'leavers_in_year', 'only_where': 'is_whole_year'},
        'Mean headcount in 12 months': {'count': 'round(mean_headcount)', 'only_where': 'is_whole_year'},
        'Percentage turnover in 12 months': {
            'derived': '100.0 * "Leavers in 12 months" / nullif("Mean headcount in 12 months", 0)',
            'only_where': 'is_whole_year',
            'type': 'numeric(5, 1)',
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
        workforce__dim_organisation_units.directorate_name,
        workforce__dim_organisation_units.unit_code,
        workforce__dim_organisation_units.unit_name,
        sum(workforce__fct_headcount_months.headcount) as headcount,
        sum(workforce__fct_headcount_months.fte) as fte,
        count(*) filter (where workforce__fct_headcount_months.is_leaver) as leavers
    from workforce__fct_headcount_months
    inner join workforce__dim_organisation_units
        on
            workforce__fct_headcount_months.organisation_unit_key
            = workforce__dim_organisation_units.organisation_unit_key
    group by 1, 2, 3, 4

),

years as (

    select
        *,
        (sum(leavers) over twelve_months)::bigint as leavers_in_year,
        avg(headcount) over twelve_months as mean_headcount,
        count(*) over twelve_months = 12 as is_whole_year
    from months
    window twelve_months as (partition by unit_code order by month_end_date range interval '11 months' preceding)

),

disclosed as (

    {{ disclosed('years', disclosure) }}

),

final as (

    select
        month_end_date as "Month end",
        directorate_name as "Directorate",
        unit_name as "Unit",
        "Headcount",
        "FTE",
        "Leavers in 12 months",
        "Mean headcount in 12 months",
        "Percentage turnover in 12 months",
        "Suppressed figures"
    from disclosed

)

select * from final
