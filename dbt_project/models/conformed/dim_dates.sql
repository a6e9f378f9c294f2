with

bank_holidays as (

    select
        bank_holiday_date,
        min(bank_holiday_name) as bank_holiday_name
    from {{ ref('stg_reference__bank_holidays') }}
    where division_code = 'england-and-wales'
    group by bank_holiday_date

),

days as (

    select series.moment::date as date_day
    from
        generate_series(
            '{{ var("first_date", "2005-04-01") }}'::timestamp,
            '{{ var("last_date", "2036-03-31") }}'::timestamp,
            '1 day'
        ) as series (moment)

),

described as (

    select
        days.date_day,
        bank_holidays.bank_holiday_name,
        extract(year from days.date_day)::integer as calendar_year,
        extract(month from days.date_day)::integer as calendar_month,
        extract(isodow from days.date_day)::integer as day_of_week,
        extract(week from days.date_day)::integer as iso_week,
        to_char(days.date_day, 'FMMonth') as month_name,
        to_char(days.date_day, 'FMDay') as day_name,
        date_trunc('month', days.date_day)::date as month_start_date,
        -- shifted by three months, April is month 1 of its year
        extract(year from days.date_day - interval '3 months')::integer as financial_year_start,
        extract(month from days.date_day - interval '3 months')::integer as financial_period,
        extract(isodow from days.date_day) > 5 as is_weekend,
        bank_holidays.bank_holiday_date is not null as is_bank_holiday
    from days
    left join bank_holidays
        on days.date_day = bank_holidays.bank_holiday_date

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
        financial_year_start || '/' || lpad(((financial_year_start + 1) % 100)::text, 2, '0') as financial_year,
        financial_period,
        (financial_period + 2) / 3 as financial_quarter,
        bank_holiday_name,
        is_weekend,
        is_bank_holiday,
        not is_weekend and not is_bank_holiday as is_working_day,
        (
            count(*) filter (where not is_weekend and not is_bank_holiday) over (order by date_day)
        )::integer as working_day_number
    from described

)

select * from final
