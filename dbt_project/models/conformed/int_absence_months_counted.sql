with

absences as (

    select * from {{ ref('stg_itrent__absences') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

int_headcount_months_conformed as (

    select * from {{ ref('int_headcount_months_conformed') }}

),

-- the record of the latest month
latest as (

    select distinct on (absence_reference) *
    from absences
    order by absence_reference asc, month_end_date desc

),

counted as (

    select
        latest.absence_reference,
        latest.employee_token,
        latest.absence_type_name,
        latest.absence_reason_name,
        (date_trunc('month', dim_dates.date_day) + interval '1 month - 1 day')::date as month_end_date,
        count(*)::integer as working_days_lost
    from latest
    inner join dim_dates
        on
            latest.first_date <= dim_dates.date_day
            and coalesce(latest.last_date, latest.month_end_date) >= dim_dates.date_day
    where dim_dates.is_working_day
    group by
        latest.absence_reference,
        latest.employee_token,
        latest.absence_type_name,
        latest.absence_reason_name,
        date_trunc('month', dim_dates.date_day)

),

final as (

    select
        {{ surrogate_key(['counted.absence_reference', 'counted.month_end_date']) }} as absence_month_key,
        counted.absence_reference,
        counted.employee_token,
        counted.absence_type_name,
        counted.absence_reason_name,
        counted.month_end_date,
        counted.working_days_lost,
        (
            counted.working_days_lost * coalesce(int_headcount_months_conformed.contracted_fte, 0)
        )::numeric(8, 3) as fte_days_lost
    from counted
    inner join int_headcount_months_conformed
        on
            counted.employee_token = int_headcount_months_conformed.employee_token
            and counted.month_end_date = int_headcount_months_conformed.month_end_date

)

select * from final
