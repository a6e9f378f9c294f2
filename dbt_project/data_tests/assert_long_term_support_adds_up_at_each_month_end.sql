-- recounted from the services, one month end at a time
with

services as (

    select * from {{ ref('int_care_services_conformed') }}
    where is_long_term_support

),

published as (

    select
        month_end_date,
        count(*) as service_count,
        count(distinct person_key) as person_count,
        sum(weekly_cost_gbp) as weekly_cost_gbp
    from {{ ref('adult_care__fct_long_term_support_months') }}
    group by month_end_date

),

counted as (

    select
        published.month_end_date,
        count(*) as service_count,
        count(distinct services.person_key) as person_count,
        sum(services.weekly_cost_gbp) as weekly_cost_gbp
    from published
    inner join services
        on
            published.month_end_date between services.start_date
            and coalesce(services.end_date, published.month_end_date)
    group by published.month_end_date

)

select * from published
except
select * from counted
