with

int_attendance_weeks_summed as (

    select * from {{ ref('int_attendance_weeks_summed') }}

),

final as (

    select
        person_key,
        school_key,
        academic_year,
        week_start_date,
        sessions_recorded,
        sessions_possible,
        sessions_attended,
        sessions_authorised,
        sessions_unauthorised,
        sessions_not_possible,
        sessions_unknown,
        attendance_rate_pct
    from int_attendance_weeks_summed

)

select * from final
