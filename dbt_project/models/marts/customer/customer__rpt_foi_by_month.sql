with

customer__fct_foi_requests as (

    select * from {{ ref('customer__fct_foi_requests') }}

),

customer__dim_dates as (

    select * from {{ ref('customer__dim_dates') }}

),

final as (

    select
        customer__dim_dates.month_start_date as "Month received",
        count(*) as "Requests",
        count(*) filter (where customer__fct_foi_requests.is_in_20_working_days) as "Answered in 20 working days",
        count(*) filter (where customer__fct_foi_requests.is_in_time) as "Answered in time",
        count(*) filter (where not customer__fct_foi_requests.is_in_time) as "Late",
        (
            100.0 * count(*) filter (where customer__fct_foi_requests.is_in_time)
            / nullif(count(customer__fct_foi_requests.is_in_time), 0)
        )::numeric(5, 1) as "Percentage in time",
        avg(customer__fct_foi_requests.answer_working_days)::numeric(5, 1) as "Mean working days",
        count(*) filter (where customer__fct_foi_requests.is_open) as "Still open",
        max(customer__fct_foi_requests.as_at_date) as "As at"
    from customer__fct_foi_requests
    inner join customer__dim_dates
        on customer__fct_foi_requests.received_date = customer__dim_dates.date_day
    where customer__fct_foi_requests.received_date <= customer__fct_foi_requests.as_at_date
    group by customer__dim_dates.month_start_date

)

select * from final
