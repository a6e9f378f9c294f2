with

int_ehcps_conformed as (

    select * from {{ ref('int_ehcps_conformed') }}

),

final as (

    select
        ehcp_key,
        person_key,
        primary_need_code,
        primary_need_name,
        outcome_name,
        decision_days,
        issue_days,
        is_in_20_weeks,
        is_exception,
        is_open,
        is_overdue,
        is_out_of_order,
        requested_date,
        decided_date,
        issued_date,
        as_at_date
    from int_ehcps_conformed

)

select * from final
