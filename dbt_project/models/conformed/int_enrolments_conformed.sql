with

enrolments as (

    select * from {{ ref('stg_capita__enrolments') }}

),

bridge_pupils_upns as (

    select * from {{ ref('bridge_pupils_upns') }}

),

bridge_schools_urns as (

    select * from {{ ref('bridge_schools_urns') }}

),

final as (

    select
        {{ content_key(['enrolments.upn_token', 'enrolments.urn', 'enrolments.entry_date']) }} as enrolment_key,
        coalesce(
            bridge_pupils_upns.person_key, {{ person_key('education', 'enrolments.upn_token') }}
        ) as person_key,
        bridge_schools_urns.school_key,
        enrolments.nc_year,
        enrolments.leaving_date is null as is_current,
        enrolments.entry_date,
        enrolments.leaving_date
    from enrolments
    left join bridge_pupils_upns
        on enrolments.upn_token = bridge_pupils_upns.upn_token
    left join bridge_schools_urns
        on enrolments.urn = bridge_schools_urns.urn

)

select * from final
