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

final as (

    select
        month_start_date as "Month received",
        kind_name as "Kind",
        {{ unless_few('request_count') }} as "Requests",
        {{ unless_few('open_count') }} as "Still open",
        {{ unless_few('timed_count', 'mean_working_days') }}::numeric(6, 1) as "Mean working days",
        as_at_date as "As at"
    from counted

)

select * from final
