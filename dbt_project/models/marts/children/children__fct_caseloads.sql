with

involvements as (

    select * from {{ ref('stg_liquidlogic__involvements') }}

),

workers as (

    select * from {{ ref('stg_liquidlogic__workers') }}

),

bridge_children_persons as (

    select * from {{ ref('bridge_children_persons') }}

),

int_children_as_at_dated as (

    select * from {{ ref('int_children_as_at_dated') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

counted as (

    select
        involvements.worker_token,
        dim_dates.date_day as week_start_date,
        count(distinct bridge_children_persons.child_key)::integer as open_cases,
        int_children_as_at_dated.as_at_date
    from involvements
    inner join bridge_children_persons
        on involvements.person_token = bridge_children_persons.person_token
    cross join int_children_as_at_dated
    inner join dim_dates
        on
            dim_dates.day_of_week = 1
            and involvements.began_date <= dim_dates.date_day
            and coalesce(involvements.ended_date, 'infinity') > dim_dates.date_day
            and int_children_as_at_dated.as_at_date >= dim_dates.date_day
    where involvements.is_allocated_case_worker
    group by involvements.worker_token, dim_dates.date_day, int_children_as_at_dated.as_at_date

),

described as (

    -- the worker's details on the Monday; before the first known version, those of that version
    select distinct on (counted.worker_token, counted.week_start_date)
        counted.*,
        workers.team_name,
        workers.full_time_equivalent
    from counted
    inner join workers
        on counted.worker_token = workers.worker_token
    order by
        counted.worker_token asc,
        counted.week_start_date asc,
        case
            when {{ local_date('workers.valid_from') }} <= counted.week_start_date then workers.valid_from
        end desc nulls last,
        workers.valid_from asc

),

final as (

    select
        {{ surrogate_key([person_key('children', 'worker_token'), 'week_start_date']) }} as caseload_key,
        {{ person_key('children', 'worker_token') }} as worker_key,
        week_start_date,
        team_name,
        full_time_equivalent,
        open_cases,
        (open_cases / nullif(full_time_equivalent, 0))::numeric(9, 2) as cases_per_full_time_equivalent,
        as_at_date
    from described

)

select * from final
