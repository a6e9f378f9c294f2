with

staged as (

    select coalesce(sum(session_count), 0) as session_count
    from {{ ref('stg_capita__attendances') }}

),

published as (

    select coalesce(sum(sessions_recorded), 0) as session_count
    from {{ ref('education__fct_attendance_weeks') }}

)

select
    staged.session_count as staged_count,
    published.session_count as published_count
from staged
cross join published
where staged.session_count <> published.session_count
