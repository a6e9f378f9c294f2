select financial_year
from {{ ref('dim_dates') }}
group by financial_year
having
    min(date_day) <> make_date(left(financial_year, 4)::integer, 4, 1)
    or max(date_day) <> make_date(left(financial_year, 4)::integer + 1, 3, 31)
    or count(distinct financial_period) <> 12
    or min(date_day) filter (where financial_period = 10) <> make_date(left(financial_year, 4)::integer + 1, 1, 1)
    or right(financial_year, 2) <> to_char(max(date_day), 'YY')
