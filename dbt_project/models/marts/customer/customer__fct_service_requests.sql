with

int_service_requests_conformed as (

    select * from {{ ref('int_service_requests_conformed') }}

),

customer__dim_services as (

    select * from {{ ref('customer__dim_services') }}

),

final as (

    select
        int_service_requests_conformed.service_request_key,
        int_service_requests_conformed.service_request_reference,
        int_service_requests_conformed.kind_name,
        int_service_requests_conformed.type_name,
        {{ known_or_unknown('customer__dim_services.service_key') }} as service_key,
        int_service_requests_conformed.status_name,
        int_service_requests_conformed.channel_code,
        int_service_requests_conformed.channel_name,
        int_service_requests_conformed.close_working_days,
        int_service_requests_conformed.age_working_days,
        int_service_requests_conformed.is_open,
        int_service_requests_conformed.is_closed_before_received,
        {{ local_time('int_service_requests_conformed.received_at') }} as received_at,
        int_service_requests_conformed.received_date,
        int_service_requests_conformed.closed_date,
        int_service_requests_conformed.as_at_date
    from int_service_requests_conformed
    left join customer__dim_services
        on
            int_service_requests_conformed.service_code = customer__dim_services.service_code
            and {{ is_in_force('customer__dim_services', 'int_service_requests_conformed.received_date') }}

)

select * from final
