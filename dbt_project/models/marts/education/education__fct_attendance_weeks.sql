with

attendances as (

    select * from {{ ref('stg_capita__attendances') }}

),

attendance_codes as (

    select * from {{ ref('attendance_codes') }}

),

bridge_pupils_upns as (

    select * from {{ ref('bridge_pupils_upns') }}

),

bridge_schools_urns as (

    select * from {{ ref('bridge_schools_urns') }}

),

pupils as (

    select * from {{ ref('stg_capita__pupils') }}

),

births as (

    select
        bridge_pupils_upns.person_key,
        min(pupils.birth_month) as birth_month
    from pupils
    inner join bridge_pupils_upns
        on pupils.upn_token = bridge_pupils_upns.upn_token
    group by bridge_pupils_upns.person_key

),

counted as (

    select
        coalesce(
            bridge_pupils_upns.person_key, {{ person_key('education', 'attendances.upn_token') }}
        ) as person_key,
        bridge_schools_urns.school_key,
        attendances.week_start_date,
        attendances.session_count,
        attendance_codes.session_kind
    from attendances
    left join attendance_codes
        on
            attendances.session_code = attendance_codes.session_code
            and {{ is_in_force('attendance_codes', 'attendances.week_start_date') }}
    left join bridge_pupils_upns
        on attendances.upn_token = bridge_pupils_upns.upn_token
    left join bridge_schools_urns
        on attendances.urn = bridge_schools_urns.urn

),

summed as (

    select
        person_key,
        school_key,
        week_start_date,
        {{ academic_year('week_start_date') }} as academic_year,
        sum(session_count) as sessions_recorded,
        coalesce(sum(session_count) filter (where session_kind = 'attended'), 0) as sessions_attended,
        coalesce(sum(session_count) filter (where session_kind = 'authorised'), 0) as sessions_authorised,
        coalesce(sum(session_count) filter (where session_kind = 'unauthorised'), 0) as sessions_unauthorised,
        coalesce(sum(session_count) filter (where session_kind = 'not possible'), 0) as sessions_not_possible,
        coalesce(sum(session_count) filter (where session_kind is null), 0) as sessions_unknown
    from counted
    group by
        person_key,
        school_key,
        week_start_date

),

final as (

    select
        summed.person_key,
        {{ known_or_unknown('summed.school_key') }} as school_key,
        summed.academic_year,
        -- age on 31 August before the academic year; the month of birth is enough, because August ends on that day
        left(summed.academic_year, 4)::integer
        - extract(year from births.birth_month + interval '4 months')::integer between 5 and 15 as is_aged_5_to_15,
        summed.week_start_date,
        summed.sessions_recorded,
        summed.sessions_attended + summed.sessions_authorised + summed.sessions_unauthorised as sessions_possible,
        summed.sessions_attended,
        summed.sessions_authorised,
        summed.sessions_unauthorised,
        summed.sessions_not_possible,
        summed.sessions_unknown,
        round(
            100.0 * summed.sessions_attended
            / nullif(summed.sessions_attended + summed.sessions_authorised + summed.sessions_unauthorised, 0), 2
        )::numeric(5, 2) as attendance_rate_pct
    from summed
    left join births
        on summed.person_key = births.person_key

)

select * from final
