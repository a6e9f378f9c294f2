with

care_episodes as (

    select
        {{ surrogate_key(['care_episode_id']) }} as care_episode_key,
        care_episode_id
    from {{ ref('stg_liquidlogic__care_episodes') }}

)

select
    coalesce(care_episodes.care_episode_key, children__fct_care_episodes.care_episode_key) as care_episode_key,
    count(children__fct_care_episodes.care_episode_key) as row_count
from care_episodes
full join {{ ref('children__fct_care_episodes') }} as children__fct_care_episodes
    on care_episodes.care_episode_key = children__fct_care_episodes.care_episode_key
group by 1
having count(children__fct_care_episodes.care_episode_key) <> 1 or count(care_episodes.care_episode_key) <> 1
