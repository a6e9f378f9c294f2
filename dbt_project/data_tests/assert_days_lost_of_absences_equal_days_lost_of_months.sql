with

absences as (

    select sum(fte_days_lost) as fte_days_lost
    from {{ ref('workforce__fct_absences') }}

),

months as (

    select sum(fte_days_lost) as fte_days_lost
    from {{ ref('workforce__fct_headcount_months') }}

)

select
    absences.fte_days_lost as absences_days_lost,
    months.fte_days_lost as months_days_lost
from absences
cross join months
where absences.fte_days_lost is distinct from months.fte_days_lost
