with

int_protection_plans_conformed as (

    select * from {{ ref('int_protection_plans_conformed') }}

),

final as (

    select
        protection_plan_key,
        {{ known_or_unknown('child_key') }} as child_key,
        plan_number,
        initial_category_name,
        latest_category_name,
        district_code,
        district_name,
        age_years,
        plan_days,
        is_at_3_months,
        is_at_12_months,
        is_at_24_months,
        is_repeat_within_2_years,
        is_open,
        is_ended_before_began,
        began_date,
        ended_date,
        as_at_date
    from int_protection_plans_conformed

)

select * from final
