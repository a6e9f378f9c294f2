with

days as (

    select
        *,
        lag(working_day_number, 1, 0) over (order by date_day) as number_before
    from {{ ref('dim_dates') }}

)

select *
from days
where
    working_day_number - number_before <> is_working_day::integer
    or is_working_day = (is_bank_holiday or extract(isodow from date_day) in (6, 7))
