select bank_holidays.*
from {{ ref('stg_reference__bank_holidays') }} as bank_holidays
left join {{ ref('dim_dates') }} as dim_dates
    on bank_holidays.bank_holiday_date = dim_dates.date_day
where
    bank_holidays.division_code = 'england-and-wales'
    and bank_holidays.bank_holiday_date between
    (select min(calendar.date_day) from {{ ref('dim_dates') }} as calendar)
    and (select max(calendar.date_day) from {{ ref('dim_dates') }} as calendar)
    and not coalesce(dim_dates.is_bank_holiday, false)
