with

int_foi_requests_conformed as (

    select * from {{ ref('int_foi_requests_conformed') }}

),

final as (

    select
        request_key,
        request_reference,
        topic_name,
        outcome_name,
        exemption_name,
        answer_working_days,
        is_open,
        is_in_20_working_days,
        is_answered_before_received,
        received_date,
        due_date,
        source_due_date,
        answered_date,
        as_at_date
    from int_foi_requests_conformed

)

select * from final
