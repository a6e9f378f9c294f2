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
    where is_aged_5_to_15
    group by
        school_key,
        academic_year,
        person_key
    having sum(sessions_possible) > 0

),

-- a pupil of two schools counts in each, as in DfE's statistics of enrolments
schools as (

    select
        school_key,
        academic_year,
        grouping(school_key) = 1 as is_county,
        count(*) as pupils,
        -- persistent absence is missing 10% or more of possible sessions (DfE)
        count(*) filter (where sessions_attended <= 0.9 * sessions_possible) as persistent_absentees,
        -- severe absence is missing 50% or more
        count(*) filter (where sessions_attended <= 0.5 * sessions_possible) as severe_absentees,
        sum(sessions_possible) as sessions_possible,
        sum(sessions_attended) as sessions_attended,
        sum(sessions_authorised) as sessions_authorised,
        sum(sessions_unauthorised) as sessions_unauthorised
    from pupils
    group by grouping sets ((school_key, academic_year), (academic_year))

),

final as (

    select
        schools.academic_year as "Academic year",
        case
            when schools.is_county then 'All schools'
            else coalesce(education__dim_schools.school_name, 'Not known')
        end as "School",
        case when schools.is_county then 'All' else coalesce(education__dim_schools.urn, 'Not known') end as "URN",
        education__dim_schools.phase_name as "Phase",
        education__dim_schools.district_name as "District",
        {{ rounded_few('schools.pupils') }} as "Pupils",
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
        ) }} as "Persistently absent per cent",
        {{ percent_of(
            'schools.severe_absentees', 'schools.pupils', 'schools.severe_absentees'
        ) }} as "Severely absent per cent"
    from schools
    left join education__dim_schools
        on schools.school_key = education__dim_schools.school_key

)

select * from final
