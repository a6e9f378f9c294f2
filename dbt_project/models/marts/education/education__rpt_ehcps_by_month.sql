{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'figures': {
        'Requests': {'count': 'requests'},
        'Plans issued': {'count': 'plans_issued'},
        'Issued in 20 weeks': {'count': 'plans_in_20_weeks', 'part_of': 'Plans issued'},
        'Issued in 20 weeks per cent': {
            'derived': '100.0 * "Issued in 20 weeks" / nullif("Plans issued", 0)',
            'type': 'numeric(4, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

education__fct_ehcps as (

    select * from {{ ref('education__fct_ehcps') }}

),


requested as (

    select
        date_trunc('month', requested_date)::date as month_start_date,
        count(*) as requests
    from education__fct_ehcps
    group by date_trunc('month', requested_date)

),

issued as (

    select
        date_trunc('month', issued_date)::date as month_start_date,
        count(*) as plans_issued,
        count(*) filter (where is_in_20_weeks) as plans_in_20_weeks
    from education__fct_ehcps
    where is_in_20_weeks is not null
    group by date_trunc('month', issued_date)

),

joined as (

    select
        coalesce(requested.month_start_date, issued.month_start_date) as month_start_date,
        coalesce(requested.requests, 0) as requests,
        coalesce(issued.plans_issued, 0) as plans_issued,
        coalesce(issued.plans_in_20_weeks, 0) as plans_in_20_weeks
    from requested
    full join issued
        on requested.month_start_date = issued.month_start_date

),

disclosed as (

    {{ disclosed('joined', disclosure) }}

),

final as (

    select
        month_start_date as "Calendar month",
        "Requests",
        "Plans issued",
        "Issued in 20 weeks",
        "Issued in 20 weeks per cent",
        "Suppressed figures"
    from disclosed

)

select * from final
