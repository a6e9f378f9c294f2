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
        least(case when not is_ended_before_began then ended_date end, next_began_date) as effective_ended_date,
        -- a change of legal status only, a temporary placement and the return from it begin no new placement
        coalesce(begin_reason_code, '') <> 'L'
        and coalesce(placement_code, '') not like 'T_'
        and coalesce(lag(placement_code) over (
            partition by cla_id order by began_date, care_episode_id
        ), '') not like 'T_' as is_new_placement
    from sequenced

),

numbered as (

    select
        *,
        count(*) filter (where is_new_placement) over (
            partition by cla_id order by began_date, care_episode_id
        ) as placement_number
    from cut

),

placed as (

    select
        *,
        min(began_date) over (partition by cla_id, placement_number) as placement_began_date,
        min(began_date) over (
            partition by cla_id order by placement_number range between 1 preceding and 1 preceding
        ) as previous_placement_began_date
    from numbered

),

final as (

    select
        {{ surrogate_key(['placed.care_episode_id']) }} as care_episode_key,
        placed.care_episode_id,
        placed.child_key,
        placed.episode_number,
        placed.begin_reason_code,
        begin_reasons.code_name as begin_reason_name,
        placed.end_reason_code,
        end_reasons.code_name as end_reason_name,
        placed.need_code,
        needs.code_name as need_name,
        placed.legal_status_code,
        legal_statuses.code_name as legal_status_name,
        coalesce(legal_statuses.code_group, 'Not known') as legal_status_group,
        placed.placement_code,
        placements.code_name as placement_name,
        coalesce(placements.code_group, 'Not known') as placement_group,
        placed.placement_provider_code,
        providers.code_name as placement_provider_name,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        case when dim_children.birth_month is not null then placed.age_years end as age_years,
        coalesce(placed.effective_ended_date, int_children_as_at_dated.as_at_date) - placed.began_date as episode_days,
        placed.effective_ended_date is null as is_open,
        placed.is_overlapping,
        placed.is_ended_before_began,
        placed.care_began_date,
        placed.placement_began_date,
        -- an adoptive placement counts together with the placement before it (national indicator 63)
        case
            when placements.code_group = 'Adoption'
                then coalesce(placed.previous_placement_began_date, placed.placement_began_date)
            else placed.placement_began_date
        end as settled_from_date,
        placed.began_date,
        placed.effective_ended_date as ended_date,
        int_children_as_at_dated.as_at_date
    from placed
    cross join int_children_as_at_dated
    left join dim_children
        on placed.child_key = dim_children.child_key
    left join int_homes_dated
        on
            placed.child_key = int_homes_dated.person_key
            and placed.began_date <@ int_homes_dated.lived_there
    left join ssda903_codes as begin_reasons
        on begin_reasons.code_list = 'RNE' and placed.begin_reason_code = begin_reasons.code
    left join ssda903_codes as end_reasons
        on end_reasons.code_list = 'REC' and placed.end_reason_code = end_reasons.code
    left join ssda903_codes as needs
        on needs.code_list = 'CIN' and placed.need_code = needs.code
    left join ssda903_codes as legal_statuses
        on legal_statuses.code_list = 'LS' and placed.legal_status_code = legal_statuses.code
    left join ssda903_codes as placements
        on placements.code_list = 'PLACE' and placed.placement_code = placements.code
    left join ssda903_codes as providers
        on providers.code_list = 'PLACE_PROVIDER' and placed.placement_provider_code = providers.code

)

select * from final
