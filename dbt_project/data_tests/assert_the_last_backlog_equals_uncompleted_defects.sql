with

backlog as (

    select coalesce(sum(open_count), 0) as open_count
    from {{ ref('highways__fct_defect_backlog_days') }}
    where date_day = (select max(d.date_day) from {{ ref('highways__fct_defect_backlog_days') }} as d)

),

defects as (

    select count(*) as open_count
    from {{ ref('highways__fct_defects') }}
    where not is_completed

)

select backlog.open_count
from backlog
inner join defects
    on backlog.open_count <> defects.open_count
