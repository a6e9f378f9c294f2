with

int_suspensions_conformed as (

    select * from {{ ref('int_suspensions_conformed') }}

),

final as (

    select
        suspension_key,
        person_key,
        school_key,
        academic_year,
        reason_code,
        sessions_lost,
        is_permanent,
        start_date
    from int_suspensions_conformed

)

select * from final
