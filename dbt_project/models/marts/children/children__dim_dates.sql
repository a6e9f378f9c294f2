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
        day_of_week,
        day_name,
        iso_week,
        financial_year,
        financial_period,
        financial_quarter,
        bank_holiday_name,
        is_weekend,
        is_bank_holiday,
        is_working_day,
        working_day_number
    from dim_dates

)

select * from final
