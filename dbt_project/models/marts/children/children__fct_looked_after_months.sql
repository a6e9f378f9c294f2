with

int_care_episodes_conformed as (

    select * from {{ ref('int_care_episodes_conformed') }}

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

looked_after as (

    select
        {{ surrogate_key(['int_care_episodes_conformed.child_key', 'month_ends.month_end_date']) }}
            as looked_after_month_key,
        int_care_episodes_conformed.child_key,
        int_care_episodes_conformed.care_episode_key,
        int_care_episodes_conformed.legal_status_group,
        int_care_episodes_conformed.placement_group,
        int_care_episodes_conformed.placement_provider_name,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        {{ child_age('dim_children.birth_month', 'month_ends.month_end_date') }} as age_years,
        month_ends.month_end_date - int_care_episodes_conformed.care_began_date as days_looked_after,
        int_care_episodes_conformed.care_began_date,
        int_care_episodes_conformed.settled_from_date,
        month_ends.month_end_date,
        int_care_episodes_conformed.as_at_date
    from int_care_episodes_conformed
    inner join dim_children
        on int_care_episodes_conformed.child_key = dim_children.child_key
    inner join month_ends
        on
            int_care_episodes_conformed.began_date <= month_ends.month_end_date
            and coalesce(int_care_episodes_conformed.ended_date, 'infinity') > month_ends.month_end_date
            and int_care_episodes_conformed.as_at_date >= month_ends.month_end_date
            -- a series of short breaks is not counted (DfE, Children looked after in England, methodology)
            and coalesce(int_care_episodes_conformed.legal_status_code, '') not in ('V3', 'V4')
    left join int_homes_dated
        on
            int_care_episodes_conformed.child_key = int_homes_dated.person_key
            and month_ends.month_end_date <@ int_homes_dated.lived_there

),

-- placements on any day of the 12 months; the day on which a child moves is a day of both placements
placements as (

    select
        looked_after.looked_after_month_key,
        count(distinct int_care_episodes_conformed.placement_began_date)::integer as placements_in_12_months
    from looked_after
    inner join int_care_episodes_conformed
        on
            looked_after.child_key = int_care_episodes_conformed.child_key
            and looked_after.month_end_date >= int_care_episodes_conformed.began_date
            and (looked_after.month_end_date + 1 - interval '12 months')::date
            <= coalesce(int_care_episodes_conformed.ended_date, 'infinity')
            and coalesce(int_care_episodes_conformed.legal_status_code, '') not in ('V3', 'V4')
    group by looked_after.looked_after_month_key

),

final as (

    select
        looked_after.looked_after_month_key,
        looked_after.child_key,
        looked_after.care_episode_key,
        looked_after.legal_status_group,
        looked_after.placement_group,
        looked_after.placement_provider_name,
        looked_after.district_code,
        looked_after.district_name,
        looked_after.age_years,
        looked_after.days_looked_after,
        placements.placements_in_12_months,
        -- under 16 and looked after for two and a half years: in one placement for two years (national indicator 63)
        case
            when
                looked_after.age_years < 16
                and looked_after.care_began_date <= looked_after.month_end_date - interval '30 months'
                then looked_after.settled_from_date <= looked_after.month_end_date - interval '24 months'
        end as is_in_stable_placement,
        looked_after.month_end_date,
        looked_after.as_at_date
    from looked_after
    inner join placements
        on looked_after.looked_after_month_key = placements.looked_after_month_key

)

select * from final
