with

int_looked_after_months_counted as (

    select * from {{ ref('int_looked_after_months_counted') }}

),

final as (

    select
        looked_after_month_key,
        child_key,
        care_episode_key,
        legal_status_group,
        placement_group,
        placement_provider_name,
        district_code,
        district_name,
        age_years,
        days_looked_after,
        month_end_date,
        as_at_date
    from int_looked_after_months_counted

)

select * from final
