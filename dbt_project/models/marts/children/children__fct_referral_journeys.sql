with

int_referrals_conformed as (

    select * from {{ ref('int_referrals_conformed') }}

),

final as (

    select
        referral_key,
        {{ known_or_unknown('child_key') }} as child_key,
        worker_key,
        need_code,
        need_name,
        closure_reason_code,
        closure_reason_name,
        district_code,
        district_name,
        age_years,
        assessment_working_days,
        days_since_previous_referral,
        is_no_further_action,
        is_assessed,
        is_assessed_in_time,
        is_rereferral,
        is_open,
        is_closed_before_opened,
        is_assessed_before_referred,
        referred_date,
        closed_date,
        assessment_begun_date,
        assessment_completed_date,
        as_at_date
    from int_referrals_conformed

)

select * from final
