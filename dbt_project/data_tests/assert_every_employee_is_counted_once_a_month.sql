with

employees as (

    select
        month_end_date,
        count(distinct employee_token) as employee_count
    from {{ ref('stg_itrent__employees') }}
    where leaving_date is null or leaving_date >= date_trunc('month', month_end_date)
    group by month_end_date

),

months as (

    select
        month_end_date,
        count(*) as employee_count
    from {{ ref('workforce__fct_headcount_months') }}
    group by month_end_date

)

select
    employees.month_end_date,
    employees.employee_count,
    months.employee_count as counted
from employees
full join months
    on employees.month_end_date = months.month_end_date
where employees.employee_count is distinct from months.employee_count
