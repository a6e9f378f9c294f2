select
    earlier.care_episode_key,
    later.care_episode_key as overlapping_episode_key
from {{ ref('children__fct_care_episodes') }} as earlier
inner join {{ ref('children__fct_care_episodes') }} as later
    on
        earlier.child_key = later.child_key
        and earlier.care_episode_key <> later.care_episode_key
        and earlier.began_date < coalesce(later.ended_date, 'infinity')
        and later.began_date < coalesce(earlier.ended_date, 'infinity')
