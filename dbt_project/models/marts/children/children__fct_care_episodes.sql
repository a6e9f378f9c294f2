with

int_care_episodes_conformed as (

    select * from {{ ref('int_care_episodes_conformed') }}

),

final as (

    select
        care_episode_key,
        {{ known_or_unknown('child_key') }} as child_key,
        episode_number,
        begin_reason_code,
        begin_reason_name,
        end_reason_code,
        end_reason_name,
        need_code,
        need_name,
        legal_status_code,
        legal_status_name,
        legal_status_group,
        placement_code,
        placement_name,
        placement_group,
        placement_provider_code,
        placement_provider_name,
        district_code,
        district_name,
        age_years,
        episode_days,
        is_open,
        is_overlapping,
        is_ended_before_began,
        care_began_date,
        placement_began_date,
        began_date,
        ended_date,
        as_at_date
    from int_care_episodes_conformed

)

select * from final
