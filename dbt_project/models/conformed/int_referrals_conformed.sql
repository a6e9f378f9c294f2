with

referrals as (

    select * from {{ ref('stg_liquidlogic__referrals') }}

),

single_assessments as (

    select * from {{ ref('stg_liquidlogic__single_assessments') }}

),

bridge_children_persons as (

    select * from {{ ref('bridge_children_persons') }}

),

int_homes_dated as (

    select * from {{ ref('int_homes_dated') }}

),

dim_children as (

    select * from {{ ref('dim_children') }}

),

int_children_as_at_dated as (

    select * from {{ ref('int_children_as_at_dated') }}

),

ssda903_codes as (

    select * from {{ ref('ssda903_codes') }}

),

referral_closure_reasons as (

    select * from {{ ref('referral_closure_reasons') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

first_assessments as (

    select
        single_assessments.referral_id,
        min(single_assessments.begun_date) as begun_date,
        min(
            {{ credible_date('single_assessments.completed_date', 'int_children_as_at_dated.as_at_date') }}
        ) as completed_date
    from single_assessments
    cross join int_children_as_at_dated
    group by single_assessments.referral_id

),

joined as (

    select
        referrals.referral_id,
        referrals.need_code,
        ssda903_codes.code_name as need_name,
        referrals.closure_reason_code,
        referral_closure_reasons.closure_reason_name,
        referrals.is_no_further_action,
        referrals.referred_date,
        {{ credible_date('referrals.closed_date', 'int_children_as_at_dated.as_at_date') }} as closed_date,
        {{ date_fault('referrals.closed_date', 'int_children_as_at_dated.as_at_date') }} as closed_fault,
        bridge_children_persons.child_key,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        case when dim_children.birth_month is not null then referrals.age_years end as age_years,
        first_assessments.referral_id is not null as is_assessed,
        first_assessments.begun_date as assessment_begun_date,
        first_assessments.completed_date as assessment_completed_date,
        int_children_as_at_dated.as_at_date,
        {{ person_key('children', 'referrals.worker_token') }} as worker_key,
        coalesce(referrals.closed_date < referrals.referred_date, false) as is_closed_before_opened,
        coalesce(first_assessments.begun_date < referrals.referred_date, false) as is_assessed_before_referred
    from referrals
    cross join int_children_as_at_dated
    left join bridge_children_persons
        on referrals.person_token = bridge_children_persons.person_token
    left join dim_children
        on bridge_children_persons.child_key = dim_children.child_key
    left join int_homes_dated
        on
            bridge_children_persons.child_key = int_homes_dated.person_key
            and referrals.referred_date <@ int_homes_dated.lived_there
    left join first_assessments
        on referrals.referral_id = first_assessments.referral_id
    left join ssda903_codes
        on
            ssda903_codes.code_list = 'CIN'
            and referrals.need_code = ssda903_codes.code
    left join referral_closure_reasons
        on referrals.closure_reason_code = referral_closure_reasons.closure_reason_code

),

sequenced as (

    select
        *,
        case
            when child_key is not null
                then max(referred_date) over (
                    partition by child_key
                    order by referred_date range between unbounded preceding and interval '1 day' preceding
                )
        end as previous_referred_date
    from joined

),

measured as (

    select
        sequenced.*,
        case
            when sequenced.assessment_completed_date >= sequenced.referred_date
                then completed_on.working_day_number - referred_on.working_day_number
        end as assessment_working_days,
        as_at_on.working_day_number - referred_on.working_day_number as elapsed_working_days
    from sequenced
    left join dim_dates as referred_on
        on sequenced.referred_date = referred_on.date_day
    left join dim_dates as completed_on
        on sequenced.assessment_completed_date = completed_on.date_day
    left join dim_dates as as_at_on
        on sequenced.as_at_date = as_at_on.date_day

),

final as (

    select
        {{ surrogate_key(['referral_id']) }} as referral_key,
        referral_id,
        child_key,
        worker_key,
        need_code,
        need_name,
        closure_reason_code,
        closure_reason_name,
        district_code,
        district_name,
        age_years,
        assessment_working_days,
        referred_date - previous_referred_date as days_since_previous_referral,
        is_no_further_action,
        is_assessed,
        case
            when assessment_working_days <= 45 then true
            when assessment_working_days > 45 then false
            -- incomplete and already late
            when is_assessed and assessment_completed_date is null and elapsed_working_days > 45 then false
        end as is_assessed_in_time,
        case
            when child_key is not null
                then coalesce(previous_referred_date >= (referred_date - interval '12 months')::date, false)
        end as is_rereferral,
        closed_date is null as is_open,
        is_closed_before_opened,
        closed_fault,
        is_assessed_before_referred,
        referred_date,
        case when not is_closed_before_opened then closed_date end as closed_date,
        case when not is_assessed_before_referred then assessment_begun_date end as assessment_begun_date,
        assessment_completed_date,
        as_at_date
    from measured

)

select * from final
