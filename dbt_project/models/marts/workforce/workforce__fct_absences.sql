with

int_absences_conformed as (

    select * from {{ ref('int_absences_conformed') }}

),

final as (

    select
        absence_key,
        person_key,
        organisation_unit_key,
        absence_type_name,
        working_days_lost,
        fte_days_lost,
        is_open,
        is_long_term,
        is_ended_before_begun,
        first_date,
        last_date,
        as_at_date
    from int_absences_conformed

)

select * from final
