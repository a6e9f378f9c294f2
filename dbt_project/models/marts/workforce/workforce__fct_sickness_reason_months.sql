with

int_absence_months_counted as (

    select * from {{ ref('int_absence_months_counted') }}

),

-- the reason of a person's absence is not in any table of people
final as (

    select
        month_end_date,
        coalesce(absence_reason_name, 'Not known') as absence_reason_name,
        count(distinct absence_reference) as absence_count,
        sum(working_days_lost) as working_days_lost,
        sum(fte_days_lost)::numeric(10, 3) as fte_days_lost
    from int_absence_months_counted
    where absence_type_name in ('Sickness', 'Industrial injury')
    group by month_end_date, coalesce(absence_reason_name, 'Not known')

)

select * from final
