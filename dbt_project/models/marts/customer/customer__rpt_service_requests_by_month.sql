{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'known_totals': {'Requests': ['month_start_date']},
    'figures': {
        'Requests': {'count': 'request_count'},
        'Still open': {'count': 'open_count', 'part_of': 'Requests'},
        'Mean working days': {
            'amount': 'mean_working_days',
            'people': 'timed_count',
            'round_to': 1,
            'type': 'numeric(6, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

customer__fct_service_requests as (

    select * from {{ ref('customer__fct_service_requests') }}

),

customer__dim_dates as (

    select * from {{ ref('customer__dim_dates') }}

),

counted as (

    select
        customer__dim_dates.month_start_date,
        customer__fct_service_requests.kind_name,
        count(*) as request_count,
        count(*) filter (where customer__fct_service_requests.is_open) as open_count,
        count(customer__fct_service_requests.close_working_days) as timed_count,
        avg(customer__fct_service_requests.close_working_days) as mean_working_days,
        max(customer__fct_service_requests.as_at_date) as as_at_date
    from customer__fct_service_requests
    inner join customer__dim_dates
        on customer__fct_service_requests.received_date = customer__dim_dates.date_day
    group by
        customer__dim_dates.month_start_date,
        customer__fct_service_requests.kind_name

),

disclosed as (

    {{ disclosed('counted', disclosure) }}

),

final as (

    select
        month_start_date as "Month received",
        kind_name as "Kind",
        "Requests",
        "Still open",
        "Mean working days",
        as_at_date as "As at",
        "Suppressed figures"
    from disclosed

)

select * from final
