with

education__fct_attendance_weeks as (

    select * from {{ ref('education__fct_attendance_weeks') }}

),

summed as (

    select
        person_key,
        school_key,
        academic_year,
        sum(sessions_possible)::bigint as sessions_possible,
        sum(sessions_attended)::bigint as sessions_attended,
        sum(sessions_authorised)::bigint as sessions_authorised,
        sum(sessions_unauthorised)::bigint as sessions_unauthorised
    from education__fct_attendance_weeks
    where is_aged_5_to_15
    group by
        person_key,
        school_key,
        academic_year
    having sum(sessions_possible) > 0

),

final as (

    select
        person_key,
        school_key,
        academic_year,
        sessions_possible,
        sessions_attended,
        sessions_authorised,
        sessions_unauthorised,
        -- missing 10% or more, and 50% or more, of possible sessions (DfE)
        sessions_attended <= 0.9 * sessions_possible as is_persistent_absentee,
        sessions_attended <= 0.5 * sessions_possible as is_severe_absentee,
        make_date(left(academic_year, 4)::integer, 9, 1) as academic_year_start_date
    from summed

)

select * from final
