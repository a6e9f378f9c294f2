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

held as (

    select
        {{ person_key('children', 'involvements.worker_token') }} as worker_key,
        bridge_children_persons.child_key,
        involvements.began_date,
        involvements.ended_date,
        workers.team_name,
        workers.full_time_equivalent
    from involvements
    inner join workers
        on involvements.worker_token = workers.worker_token
    inner join bridge_children_persons
        on involvements.person_token = bridge_children_persons.person_token
    where involvements.is_allocated_case_worker

),

counted as (

    select
        held.worker_key,
        dim_dates.date_day as week_start_date,
        held.team_name,
        held.full_time_equivalent,
        count(distinct held.child_key)::integer as open_cases,
        int_children_as_at_dated.as_at_date
    from held
    cross join int_children_as_at_dated
    inner join dim_dates
        on
            dim_dates.day_of_week = 1
            and held.began_date <= dim_dates.date_day
            and coalesce(held.ended_date, 'infinity') > dim_dates.date_day
            and int_children_as_at_dated.as_at_date >= dim_dates.date_day
    group by
        held.worker_key,
        dim_dates.date_day,
        held.team_name,
        held.full_time_equivalent,
        int_children_as_at_dated.as_at_date

),

final as (

    select
        {{ surrogate_key(['worker_key', 'week_start_date']) }} as caseload_key,
        worker_key,
        week_start_date,
        team_name,
        full_time_equivalent,
        open_cases,
        (open_cases / nullif(full_time_equivalent, 0))::numeric(9, 2) as cases_per_full_time_equivalent,
        as_at_date
    from counted

)

select * from final
