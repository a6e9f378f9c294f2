{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'known_totals': {
        'Pupils': ['academic_year'],
        'Persistent absentees': ['academic_year'],
        'Severe absentees': ['academic_year'],
    },
    'total_rows': 'is_county',
    'figures': {
        'Pupils': {'count': 'pupils'},
        'Attendance per cent': {
            'amount': '100.0 * sessions_attended / nullif(sessions_possible, 0)',
            'people': 'pupils',
            'round_to': 0.1,
            'type': 'numeric(4, 1)',
        },
        'Authorised absence per cent': {
            'amount': '100.0 * sessions_authorised / nullif(sessions_possible, 0)',
            'people': 'pupils',
            'round_to': 0.1,
            'type': 'numeric(4, 1)',
        },
        'Unauthorised absence per cent': {
            'amount': '100.0 * sessions_unauthorised / nullif(sessions_possible, 0)',
            'people': 'pupils',
            'round_to': 0.1,
            'type': 'numeric(4, 1)',
        },
        'Persistent absentees': {'count': 'persistent_absentees', 'part_of': 'Pupils'},
        'Persistently absent per cent': {
            'derived': '100.0 * "Persistent absentees" / nullif("Pupils", 0)',
            'type': 'numeric(4, 1)',
        },
        'Severe absentees': {'count': 'severe_absentees', 'part_of': 'Persistent absentees'},
        'Severely absent per cent': {
            'derived': '100.0 * "Severe absentees" / nullif("Pupils", 0)',
            'type': 'numeric(4, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

education__fct_attendance_years as (

    select * from {{ ref('education__fct_attendance_years') }}

),

education__dim_schools as (

    select * from {{ ref('education__dim_schools') }}

),

-- a pupil of two schools counts in each, as in DfE's statistics of enrolments
schools as (

    select
        school_key,
        academic_year,
        grouping(school_key) = 1 as is_county,
        count(*) as pupils,
        count(*) filter (where is_persistent_absentee) as persistent_absentees,
        count(*) filter (where is_severe_absentee) as severe_absentees,
        sum(sessions_possible) as sessions_possible,
        sum(sessions_attended) as sessions_attended,
        sum(sessions_authorised) as sessions_authorised,
        sum(sessions_unauthorised) as sessions_unauthorised
    from education__fct_attendance_years
    group by grouping sets ((school_key, academic_year), (academic_year))

),

named as (

    select
        schools.*,
        case
            when schools.is_county then 'All schools'
            else education__dim_schools.school_name
        end as school_name,
        case when schools.is_county then 'All' else education__dim_schools.urn end as urn,
        education__dim_schools.phase_name,
        education__dim_schools.district_name
    from schools
    left join education__dim_schools
        on schools.school_key = education__dim_schools.school_key

),

disclosed as (

    {{ disclosed('named', disclosure) }}

),

final as (

    select
        academic_year as "Academic year",
        school_name as "School",
        urn as "URN",
        phase_name as "Phase",
        district_name as "District",
        "Pupils",
        "Attendance per cent",
        "Authorised absence per cent",
        "Unauthorised absence per cent",
        "Persistent absentees",
        "Persistently absent per cent",
        "Severe absentees",
        "Severely absent per cent",
        "Suppressed figures"
    from disclosed

)

select * from final
