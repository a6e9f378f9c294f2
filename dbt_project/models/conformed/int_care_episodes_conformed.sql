with

care_episodes as (

    select * from {{ ref('stg_liquidlogic__care_episodes') }}

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

sequenced as (

    select
        care_episodes.*,
        bridge_children_persons.child_key,
        -- without a known child, the next episode is of the same period of care
        lead(care_episodes.began_date) over (
            partition by
                bridge_children_persons.child_key,
                case when bridge_children_persons.child_key is null then care_episodes.cla_id end
            order by care_episodes.began_date, care_episodes.care_episode_id
        ) as next_began_date,
        min(care_episodes.began_date) over (partition by care_episodes.cla_id) as care_began_date,
        row_number() over (
            partition by care_episodes.cla_id order by care_episodes.began_date, care_episodes.care_episode_id
        )::integer as episode_number,
        coalesce(care_episodes.ended_date < care_episodes.began_date, false) as is_ended_before_began
    from care_episodes
    left join bridge_children_persons
        on care_episodes.person_token = bridge_children_persons.person_token

),

cut as (

    select
        *,
        coalesce(not is_ended_before_began and next_began_date < coalesce(ended_date, 'infinity'), false)
            as is_overlapping,
        -- a child is in one placement at a time, so the start of the next episode ends this one
        least(case when not is_ended_before_began then ended_date end, next_began_date) as effective_ended_date
    from sequenced

),

final as (

    select
        {{ surrogate_key(['cut.care_episode_id']) }} as care_episode_key,
        cut.care_episode_id,
        cut.child_key,
        cut.episode_number,
        cut.begin_reason_code,
        begin_reasons.code_name as begin_reason_name,
        cut.end_reason_code,
        end_reasons.code_name as end_reason_name,
        cut.need_code,
        needs.code_name as need_name,
        cut.legal_status_code,
        legal_statuses.code_name as legal_status_name,
        coalesce(legal_statuses.code_group, 'Not known') as legal_status_group,
        cut.placement_code,
        placements.code_name as placement_name,
        coalesce(placements.code_group, 'Not known') as placement_group,
        cut.placement_provider_code,
        providers.code_name as placement_provider_name,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        {{ child_age('dim_children.birth_month', 'cut.began_date') }} as age_years,
        coalesce(cut.effective_ended_date, int_children_as_at_dated.as_at_date) - cut.began_date as episode_days,
        cut.effective_ended_date is null as is_open,
        cut.is_overlapping,
        cut.is_ended_before_began,
        cut.care_began_date,
        cut.began_date,
        cut.effective_ended_date as ended_date,
        int_children_as_at_dated.as_at_date
    from cut
    cross join int_children_as_at_dated
    left join dim_children
        on cut.child_key = dim_children.child_key
    left join int_homes_dated
        on
            cut.child_key = int_homes_dated.person_key
            and cut.began_date <@ int_homes_dated.lived_there
    left join ssda903_codes as begin_reasons
        on begin_reasons.code_list = 'RNE' and cut.begin_reason_code = begin_reasons.code
    left join ssda903_codes as end_reasons
        on end_reasons.code_list = 'REC' and cut.end_reason_code = end_reasons.code
    left join ssda903_codes as needs
        on needs.code_list = 'CIN' and cut.need_code = needs.code
    left join ssda903_codes as legal_statuses
        on legal_statuses.code_list = 'LS' and cut.legal_status_code = legal_statuses.code
    left join ssda903_codes as placements
        on placements.code_list = 'PLACE' and cut.placement_code = placements.code
    left join ssda903_codes as providers
        on providers.code_list = 'PLACE_PROVIDER' and cut.placement_provider_code = providers.code

)

select * from final
