with

int_service_requests_conformed as (

    select * from {{ ref('int_service_requests_conformed') }}

),

final as (

    select
        service_request_key,
        service_request_reference,
        kind_name,
        type_name,
        status_name,
        channel_code,
        channel_name,
        close_working_days,
        age_working_days,
        is_open,
        is_closed_before_received,
        received_at,
        received_date,
        closed_date,
        as_at_date
    from int_service_requests_conformed

)

select * from final
