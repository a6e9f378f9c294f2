with

education__fct_attendance_weeks as (

    select * from {{ ref('education__fct_attendance_weeks') }}

),

education__dim_schools as (

    select * from {{ ref('education__dim_schools') }}

),


pupils as (

    select
        school_key,
        academic_year,
        person_key,
        sum(sessions_possible) as sessions_possible,
        sum(sessions_attended) as sessions_attended,
        sum(sessions_authorised) as sessions_authorised,
        sum(sessions_unauthorised) as sessions_unauthorised
    from education__fct_attendance_weeks
    group by
        school_key,
        academic_year,
        person_key
    having sum(sessions_possible) > 0

),

schools as (

    select
        school_key,
        academic_year,
        count(*) as pupils,
        -- persistent absence is missing 10% or more of possible sessions (DfE)
        count(*) filter (where sessions_attended <= 0.9 * sessions_possible) as persistent_absentees,
        sum(sessions_possible) as sessions_possible,
        sum(sessions_attended) as sessions_attended,
        sum(sessions_authorised) as sessions_authorised,
        sum(sessions_unauthorised) as sessions_unauthorised
    from pupils
    group by
        school_key,
        academic_year

),

final as (

    select
        schools.academic_year as "Academic year",
        coalesce(education__dim_schools.school_name, 'Not known') as "School",
        coalesce(education__dim_schools.urn, 'Not known') as "URN",
        education__dim_schools.phase_name as "Phase",
        education__dim_schools.district_name as "District",
        {{ unless_few('schools.pupils') }} as "Pupils",
        {{ percent_of(
            'schools.sessions_attended', 'schools.sessions_possible', 'schools.pupils'
        ) }} as "Attendance per cent",
        {{ percent_of(
            'schools.sessions_authorised', 'schools.sessions_possible', 'schools.pupils'
        ) }} as "Authorised absence per cent",
        {{ percent_of(
            'schools.sessions_unauthorised', 'schools.sessions_possible', 'schools.pupils'
        ) }} as "Unauthorised absence per cent",
        {{ percent_of(
            'schools.persistent_absentees', 'schools.pupils', 'schools.persistent_absentees'
        ) }} as "Persistently absent per cent"
    from schools
    left join education__dim_schools
        on schools.school_key = education__dim_schools.school_key

)

select * from final
