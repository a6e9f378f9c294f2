with

children__fct_referral_journeys as (

    select * from {{ ref('children__fct_referral_journeys') }}

),

counted as (

    select
        date_trunc('month', referred_date)::date as month_start_date,
        count(*) as referral_count,
        count(*) filter (where is_no_further_action) as no_further_action_count,
        count(*) filter (where is_rereferral) as rereferral_count,
        count(*) filter (where is_assessed) as assessed_count,
        count(*) filter (where is_assessed_in_time) as in_time_count,
        count(*) filter (where not is_assessed_in_time) as late_count,
        max(as_at_date) as as_at_date
    from children__fct_referral_journeys
    group by date_trunc('month', referred_date)::date

),

final as (

    select
        month_start_date as "Month",
        {{ unless_few('referral_count') }} as "Referrals",
        {{ unless_few_or_few_others('no_further_action_count', 'referral_count') }} as "No further action",
        {{ unless_few_or_few_others('rereferral_count', 'referral_count') }} as "Repeat referrals",
        {{ unless_few_or_few_others('assessed_count', 'referral_count') }} as "Assessed",
        -- one of the two counts with the number assessed, or with the percentage, would reveal the other
        {{ unless_few('least(in_time_count, late_count)', 'in_time_count') }} as "Assessed in 45 working days",
        {{ unless_few('least(in_time_count, late_count)', 'late_count') }} as "Late or overdue",
        case
            when least(in_time_count, late_count) >= 5
                then 100.0 * in_time_count / (in_time_count + late_count)
        end::numeric(5, 1) as "Per cent in 45 working days",
        as_at_date as "As at"
    from counted

)

select * from final
