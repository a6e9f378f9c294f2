with

children__fct_referral_journeys as (

    select * from {{ ref('children__fct_referral_journeys') }}

),

children__fct_assessments as (

    select * from {{ ref('children__fct_assessments') }}

),

completed as (

    select
        date_trunc('month', completed_date)::date as month_start_date,
        count(*) filter (where is_in_45_working_days) as in_time_count,
        count(*) filter (where not is_in_45_working_days) as late_count
    from children__fct_assessments
    where completed_date <= as_at_date
    group by date_trunc('month', completed_date)::date

),

counted as (

    select
        date_trunc('month', referred_date)::date as month_start_date,
        count(*) as referral_count,
        count(*) filter (where is_no_further_action) as no_further_action_count,
        count(*) filter (where is_rereferral) as rereferral_count,
        count(*) filter (where is_assessed) as assessed_count,
        max(as_at_date) as as_at_date
    from children__fct_referral_journeys
    where referred_date <= as_at_date
    group by date_trunc('month', referred_date)::date

),

final as (

    select
        counted.month_start_date as "Month",
        {{ unless_few('referral_count') }} as "Referrals",
        {{ unless_few_or_few_others('no_further_action_count', 'referral_count') }} as "No further action",
        {{ unless_few_or_few_others('rereferral_count', 'referral_count') }} as "Repeat referrals",
        {{ unless_few_or_few_others('assessed_count', 'referral_count') }} as "Assessed",
        -- one of the two counts with the percentage would reveal the other
        {{ unless_few('least(completed.in_time_count, completed.late_count)', 'completed.in_time_count') }}
            as "Assessments completed in 45 working days",
        {{ unless_few('least(completed.in_time_count, completed.late_count)', 'completed.late_count') }}
            as "Assessments completed late",
        case
            when least(completed.in_time_count, completed.late_count) >= 5
                then 100.0 * completed.in_time_count / (completed.in_time_count + completed.late_count)
        end::numeric(5, 1) as "Per cent in 45 working days",
        counted.as_at_date as "As at"
    from counted
    left join completed
        on counted.month_start_date = completed.month_start_date

)

select * from final
