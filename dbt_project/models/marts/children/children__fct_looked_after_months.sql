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

final as (

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

)

select * from final
