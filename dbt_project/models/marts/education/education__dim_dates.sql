with

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

final as (

    select
        date_day,
        calendar_year,
        calendar_month,
        month_name,
        month_start_date,
        iso_week,
        is_working_day
    from dim_dates

)

select * from final
