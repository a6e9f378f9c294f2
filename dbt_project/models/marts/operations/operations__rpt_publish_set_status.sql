with

operations__fct_publish_set_days as (

    select * from {{ ref('operations__fct_publish_set_days') }}

),

operations__fct_publications as (

    select * from {{ ref('operations__fct_publications') }}

),

hours as (

    select
        publish_set,
        date_trunc('month', date_day)::date as month_start_date,
        sum(counted_hours) as counted_hours,
        sum(late_hours) as late_hours
    from operations__fct_publish_set_days
    group by
        publish_set,
        date_trunc('month', date_day)::date

),

outcomes as (

    select
        publish_set,
        date_trunc('month', decided_date)::date as month_start_date,
        count(*) filter (where outcome = 'Published') as publications,
        count(*) filter (where outcome = 'Refused') as refused_builds,
        count(*) filter (where outcome = 'Rolled back') as rollbacks,
        percentile_cont(0.5) within group (order by build_seconds) as median_build_seconds,
        max(build_seconds) as longest_build_seconds,
        sum(model_seconds) as model_seconds,
        max(row_count) as most_rows
    from operations__fct_publications
    group by
        publish_set,
        date_trunc('month', decided_date)::date

),

-- a set may be refused in months before its first publication
final as (

    select
        coalesce(hours.month_start_date, outcomes.month_start_date) as "Month",
        coalesce(hours.publish_set, outcomes.publish_set) as "Publish set",
        (
            100 * (hours.counted_hours - hours.late_hours) / nullif(hours.counted_hours, 0)
        )::numeric(5, 2) as "Availability per cent",
        hours.late_hours::numeric(7, 1) as "Hours late",
        coalesce(outcomes.publications, 0) as "Publications",
        coalesce(outcomes.refused_builds, 0) as "Refused builds",
        coalesce(outcomes.rollbacks, 0) as "Rollbacks",
        outcomes.median_build_seconds::numeric(12, 1) as "Median build in seconds",
        outcomes.longest_build_seconds::numeric(12, 1) as "Longest build in seconds",
        outcomes.model_seconds::numeric(12, 1) as "Work of the database in seconds",
        outcomes.most_rows as "Most rows"
    from hours
    full outer join outcomes
        on hours.publish_set = outcomes.publish_set and hours.month_start_date = outcomes.month_start_date

)

select * from final
