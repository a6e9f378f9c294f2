with

suspensions as (

    select * from {{ ref('stg_capita__suspensions') }}

),

bridge_pupils_upns as (

    select * from {{ ref('bridge_pupils_upns') }}

),

bridge_schools_urns as (

    select * from {{ ref('bridge_schools_urns') }}

),


final as (

    select
        {{ content_key([
            'suspensions.upn_token',
            'suspensions.urn',
            'suspensions.start_date',
            'suspensions.exclusion_category_code',
            'suspensions.reason_code',
            'suspensions.sessions_lost_raw',
        ]) }} as suspension_key,
        coalesce(
            bridge_pupils_upns.person_key, {{ person_key('education', 'suspensions.upn_token') }}
        ) as person_key,
        {{ known_or_unknown('bridge_schools_urns.school_key') }} as school_key,
        {{ academic_year('suspensions.start_date') }} as academic_year,
        suspensions.reason_code,
        suspensions.sessions_lost,
        suspensions.exclusion_category_code = 'PERM' as is_permanent,
        suspensions.start_date
    from suspensions
    left join bridge_pupils_upns
        on suspensions.upn_token = bridge_pupils_upns.upn_token
    left join bridge_schools_urns
        on suspensions.urn = bridge_schools_urns.urn

)

select * from final
