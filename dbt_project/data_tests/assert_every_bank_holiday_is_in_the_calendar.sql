select bank_holidays.*
from {{ ref('stg_reference__bank_holidays') }} as bank_holidays
left join {{ ref('dim_dates') }} as dim_dates
    on bank_holidays.bank_holiday_date = dim_dates.date_day
where not coalesce(dim_dates.is_bank_holiday, false)
