with

int_headcount_months_conformed as (

    select * from {{ ref('int_headcount_months_conformed') }}

),

int_absence_months_counted as (

    select * from {{ ref('int_absence_months_counted') }}

),

lost as (

    select
        employee_token,
        month_end_date,
        sum(fte_days_lost) as fte_days_lost,
        -- sickness includes injuries at work; leave such as bereavement and jury service is not sickness
        sum(fte_days_lost) filter (
            where absence_type_name in ('Sickness', 'Industrial injury')
        ) as sickness_fte_days_lost
    from int_absence_months_counted
    group by employee_token, month_end_date

),

final as (

    select
        int_headcount_months_conformed.headcount_key,
        int_headcount_months_conformed.person_key,
        int_headcount_months_conformed.month_end_date,
        int_headcount_months_conformed.organisation_unit_key,
        int_headcount_months_conformed.contract_type_name,
        int_headcount_months_conformed.grade_code,
        int_headcount_months_conformed.leaving_reason_name,
        int_headcount_months_conformed.post_count,
        int_headcount_months_conformed.headcount,
        int_headcount_months_conformed.fte,
        coalesce(lost.fte_days_lost, 0)::numeric(8, 3) as fte_days_lost,
        coalesce(lost.sickness_fte_days_lost, 0)::numeric(8, 3) as sickness_fte_days_lost,
        int_headcount_months_conformed.is_employed_at_month_end,
        int_headcount_months_conformed.is_starter,
        int_headcount_months_conformed.is_leaver,
        int_headcount_months_conformed.is_first_year_leaver,
        int_headcount_months_conformed.is_fte_in_doubt
    from int_headcount_months_conformed
    left join lost
        on
            int_headcount_months_conformed.employee_token = lost.employee_token
            and int_headcount_months_conformed.month_end_date = lost.month_end_date

)

select * from final
