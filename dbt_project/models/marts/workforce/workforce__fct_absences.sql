with

absences as (

    select * from {{ ref('stg_itrent__absences') }}

),

int_absence_months_counted as (

    select * from {{ ref('int_absence_months_counted') }}

),

int_headcount_months_conformed as (

    select * from {{ ref('int_headcount_months_conformed') }}

),

latest as (

    select distinct on (absence_reference)
        *,
        max(month_end_date) over () as as_at_date
    from absences
    order by absence_reference asc, month_end_date desc

),

summed as (

    select
        absence_reference,
        sum(working_days_lost)::integer as working_days_lost,
        sum(fte_days_lost)::numeric(8, 3) as fte_days_lost
    from int_absence_months_counted
    group by absence_reference

),

final as (

    select
        {{ surrogate_key(['latest.absence_reference']) }} as absence_key,
        {{ person_key('workforce', 'latest.employee_token') }} as person_key,
        {{ known_or_unknown('int_headcount_months_conformed.organisation_unit_key') }} as organisation_unit_key,
        latest.absence_type_name,
        coalesce(summed.working_days_lost, 0) as working_days_lost,
        coalesce(summed.fte_days_lost, 0) as fte_days_lost,
        latest.last_date is null as is_open,
        -- both the first and the last day count
        coalesce(latest.last_date, latest.as_at_date) - latest.first_date + 1 >= 28 as is_long_term,
        coalesce(latest.last_date < latest.first_date, false) as is_ended_before_begun,
        latest.first_date,
        latest.last_date,
        latest.as_at_date
    from latest
    left join summed
        on latest.absence_reference = summed.absence_reference
    left join int_headcount_months_conformed
        on
            latest.employee_token = int_headcount_months_conformed.employee_token
            and (date_trunc('month', latest.first_date) + interval '1 month - 1 day')::date
            = int_headcount_months_conformed.month_end_date

)

select * from final
