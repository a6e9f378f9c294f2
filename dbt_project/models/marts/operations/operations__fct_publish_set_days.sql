with

stg_governance__publications as (

    select * from {{ ref('stg_governance__publications') }}

),

stg_governance__alerts as (

    select * from {{ ref('stg_governance__alerts') }}

),

alert_kinds as (

    select * from {{ ref('alert_kinds') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

first_publications as (

    select
        publish_set,
        min(decided_at) as first_published_at
    from stg_governance__publications
    where outcome = 'Published' and decided_at < {{ build_time() }}
    group by publish_set

),

-- the part of each local day from the first publication to this build; a day has 23, 24 or 25 hours
days as (

    select
        first_publications.publish_set,
        dim_dates.date_day,
        tstzrange(
            greatest({{ local_midnight('dim_dates.date_day') }}, first_publications.first_published_at),
            least({{ local_midnight('dim_dates.date_day + 1') }}, {{ build_time() }})
        ) as counted
    from first_publications
    inner join dim_dates
        on
            dim_dates.date_day between {{ local_date('first_publications.first_published_at') }}
            and {{ local_date(build_time()) }}

),

-- a union of times: alerts that overlap count once
late_times as (

    select
        publish_set,
        range_agg(tstzrange(
            stg_governance__alerts.began_at,
            greatest(stg_governance__alerts.began_at, coalesce(stg_governance__alerts.ended_at, {{ build_time() }}))
        )) as late
    from stg_governance__alerts
    inner join alert_kinds
        on stg_governance__alerts.kind = alert_kinds.kind
    cross join lateral string_to_table(stg_governance__alerts.publish_sets, ' ') as publish_set
    where alert_kinds.effect = 'late'
    group by publish_set

),

late_parts as (

    select
        days.publish_set,
        days.date_day,
        part
    from days
    inner join late_times
        on days.publish_set = late_times.publish_set
    cross join lateral unnest(late_times.late * tstzmultirange(days.counted)) as part

),

late_days as (

    select
        publish_set,
        date_day,
        sum({{ hours_in('part') }}) as late_hours
    from late_parts
    group by
        publish_set,
        date_day

),

final as (

    select
        days.publish_set,
        days.date_day,
        {{ hours_in('days.counted') }}::numeric(7, 4) as counted_hours,
        coalesce(late_days.late_hours, 0)::numeric(7, 4) as late_hours
    from days
    left join late_days
        on days.publish_set = late_days.publish_set and days.date_day = late_days.date_day
    where not isempty(days.counted)

)

select * from final
