with

int_referrals_conformed as (

    select * from {{ ref('int_referrals_conformed') }}

),

int_protection_plans_conformed as (

    select * from {{ ref('int_protection_plans_conformed') }}

),

children__fct_looked_after_months as (

    select * from {{ ref('children__fct_looked_after_months') }}

),

int_homes_dated as (

    select * from {{ ref('int_homes_dated') }}

),

dim_children as (

    select * from {{ ref('dim_children') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

month_ends as (

    select date_day - 1 as month_end_date
    from dim_dates
    where date_day = month_start_date

),

-- an episode of need lasts from the referral to its end, unless nothing follows the referral (children in need census).
-- A child with two open referrals counts once, with the earlier one
in_need as (

    select distinct on (int_referrals_conformed.child_key, month_ends.month_end_date)
        int_referrals_conformed.child_key,
        int_referrals_conformed.referral_key,
        int_referrals_conformed.need_name,
        int_referrals_conformed.as_at_date,
        month_ends.month_end_date
    from int_referrals_conformed
    inner join month_ends
        on
            int_referrals_conformed.referred_date <= month_ends.month_end_date
            and coalesce(int_referrals_conformed.closed_date, 'infinity') > month_ends.month_end_date
            and int_referrals_conformed.as_at_date >= month_ends.month_end_date
    where
        int_referrals_conformed.child_key is not null
        and not coalesce(int_referrals_conformed.is_no_further_action, false)
        and not int_referrals_conformed.is_closed_before_opened
    order by
        int_referrals_conformed.child_key asc,
        month_ends.month_end_date asc,
        int_referrals_conformed.referred_date asc,
        int_referrals_conformed.referral_id asc

),

plans as (

    select distinct
        in_need.child_key,
        in_need.month_end_date
    from in_need
    inner join int_protection_plans_conformed
        on
            in_need.child_key = int_protection_plans_conformed.child_key
            and in_need.month_end_date >= int_protection_plans_conformed.began_date
            and in_need.month_end_date < coalesce(int_protection_plans_conformed.ended_date, 'infinity')
    where not int_protection_plans_conformed.is_ended_before_began

),

final as (

    select
        {{ surrogate_key(['in_need.child_key', 'in_need.month_end_date']) }} as in_need_month_key,
        in_need.child_key,
        in_need.referral_key,
        in_need.need_name,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        {{ child_age('dim_children.birth_month', 'in_need.month_end_date') }} as age_years,
        plans.child_key is not null as is_on_protection_plan,
        children__fct_looked_after_months.child_key is not null as is_looked_after,
        in_need.month_end_date,
        in_need.as_at_date
    from in_need
    inner join dim_children
        on in_need.child_key = dim_children.child_key
    left join plans
        on
            in_need.child_key = plans.child_key
            and in_need.month_end_date = plans.month_end_date
    left join children__fct_looked_after_months
        on
            in_need.child_key = children__fct_looked_after_months.child_key
            and in_need.month_end_date = children__fct_looked_after_months.month_end_date
    left join int_homes_dated
        on
            in_need.child_key = int_homes_dated.person_key
            and in_need.month_end_date <@ int_homes_dated.lived_there

)

select * from final
