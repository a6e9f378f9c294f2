with

single_assessments as (

    select * from {{ ref('stg_liquidlogic__single_assessments') }}

),

int_referrals_conformed as (

    select * from {{ ref('int_referrals_conformed') }}

),

int_children_as_at_dated as (

    select * from {{ ref('int_children_as_at_dated') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

-- the 45 working days of the first assessment begin with the referral, those of a later one with its own beginning
-- (Working Together to Safeguard Children; children in need census)
timed as (

    select
        single_assessments.single_assessment_id,
        single_assessments.is_no_further_action,
        single_assessments.begun_date,
        {{
            credible_date('single_assessments.completed_date', 'int_children_as_at_dated.as_at_date')
        }} as completed_date,
        int_referrals_conformed.referral_key,
        int_referrals_conformed.child_key,
        int_referrals_conformed.district_code,
        int_referrals_conformed.district_name,
        int_children_as_at_dated.as_at_date,
        case
            when row_number() over (
                partition by single_assessments.referral_id
                order by single_assessments.begun_date, single_assessments.single_assessment_id
            ) = 1 then int_referrals_conformed.referred_date
            else single_assessments.begun_date
        end as clock_start_date
    from single_assessments
    cross join int_children_as_at_dated
    inner join int_referrals_conformed
        on single_assessments.referral_id = int_referrals_conformed.referral_id

),

measured as (

    select
        timed.*,
        case
            when timed.completed_date >= timed.clock_start_date
                then completed_on.working_day_number - started_on.working_day_number
        end as assessment_working_days,
        as_at_on.working_day_number - started_on.working_day_number as elapsed_working_days
    from timed
    left join dim_dates as started_on
        on timed.clock_start_date = started_on.date_day
    left join dim_dates as completed_on
        on timed.completed_date = completed_on.date_day
    left join dim_dates as as_at_on
        on timed.as_at_date = as_at_on.date_day

),

final as (

    select
        {{ surrogate_key(['single_assessment_id']) }} as assessment_key,
        referral_key,
        {{ known_or_unknown('child_key') }} as child_key,
        district_code,
        district_name,
        assessment_working_days,
        case
            when assessment_working_days <= 45 then true
            when assessment_working_days > 45 then false
            when completed_date is null and elapsed_working_days > 45 then false
        end as is_in_45_working_days,
        completed_date is null as is_open,
        is_no_further_action,
        clock_start_date,
        begun_date,
        completed_date,
        as_at_date
    from measured

)

select * from final
