with

int_defects_conformed as (

    select * from {{ ref('int_defects_conformed') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

defects as (

    select
        response_time_name,
        district_code,
        district_name,
        is_completed_in_time,
        reported_date,
        required_completion_date,
        as_at_date,
        case when completed_date is not null then greatest(completed_date, reported_date) end as completed_date
    from int_defects_conformed
    where reported_date is not null

),

-- additions to and removals from the backlog by day
changes as (

    select
        response_time_name,
        district_code,
        district_name,
        reported_date as date_day,
        1 as reported_count,
        0 as completed_count,
        0 as completed_in_time_count,
        0 as overdue_change
    from defects

    union all

    select
        response_time_name,
        district_code,
        district_name,
        completed_date as date_day,
        0 as reported_count,
        1 as completed_count,
        is_completed_in_time::integer as completed_in_time_count,
        case when completed_date > required_completion_date then -1 else 0 end as overdue_change
    from defects
    where completed_date is not null

    union all

    -- an open defect is overdue from the end of its required completion date
    select
        response_time_name,
        district_code,
        district_name,
        required_completion_date as date_day,
        0 as reported_count,
        0 as completed_count,
        0 as completed_in_time_count,
        1 as overdue_change
    from defects
    where
        required_completion_date <= as_at_date
        and (completed_date is null or completed_date > required_completion_date)

),

daily as (

    select
        response_time_name,
        district_code,
        district_name,
        date_day,
        sum(reported_count) as reported_count,
        sum(completed_count) as completed_count,
        sum(completed_in_time_count) as completed_in_time_count,
        sum(overdue_change) as overdue_change
    from changes
    group by response_time_name, district_code, district_name, date_day

),

groups as (

    select
        response_time_name,
        district_code,
        district_name,
        min(date_day) as first_date,
        (select max(defects.as_at_date) from defects) as last_date
    from daily
    group by response_time_name, district_code, district_name

),

final as (

    select
        {{ surrogate_key(['groups.response_time_name', 'groups.district_code', 'dim_dates.date_day']) }}
            as defect_backlog_day_key,
        groups.response_time_name,
        groups.district_code,
        groups.district_name,
        dim_dates.date_day,
        coalesce(daily.reported_count, 0)::integer as reported_count,
        coalesce(daily.completed_count, 0)::integer as completed_count,
        coalesce(daily.completed_in_time_count, 0)::integer as completed_in_time_count,
        (sum(coalesce(daily.reported_count, 0) - coalesce(daily.completed_count, 0)) over to_date)::integer
            as open_count,
        (sum(coalesce(daily.overdue_change, 0)) over to_date)::integer as overdue_count
    from groups
    inner join dim_dates
        on dim_dates.date_day between groups.first_date and groups.last_date
    left join daily
        on
            groups.response_time_name is not distinct from daily.response_time_name
            and groups.district_code is not distinct from daily.district_code
            and dim_dates.date_day = daily.date_day
    window to_date as (
        partition by groups.response_time_name, groups.district_code
        order by dim_dates.date_day
    )

)

select * from final
