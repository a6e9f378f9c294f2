with

int_defect_backlogs_counted as (

    select * from {{ ref('int_defect_backlogs_counted') }}

),

final as (

    select
        defect_backlog_day_key,
        response_time_name,
        district_code,
        district_name,
        date_day,
        reported_count,
        completed_count,
        completed_in_time_count,
        open_count,
        overdue_count
    from int_defect_backlogs_counted

)

select * from final
