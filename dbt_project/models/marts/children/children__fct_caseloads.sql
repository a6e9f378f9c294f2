with

int_caseloads_counted as (

    select * from {{ ref('int_caseloads_counted') }}

),

final as (

    select
        caseload_key,
        worker_key,
        week_start_date,
        team_name,
        full_time_equivalent,
        open_cases,
        cases_per_full_time_equivalent,
        as_at_date
    from int_caseloads_counted

)

select * from final
