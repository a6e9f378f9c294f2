with

int_service_requests_conformed as (

    select * from {{ ref('int_service_requests_conformed') }}

),

service_requests as (

    select
        service_requests.*,
        int_service_requests_conformed.channel_code,
        int_service_requests_conformed.is_type_cut,
        int_service_requests_conformed.is_closed_before_received,
        int_service_requests_conformed.as_at_date
    from {{ ref('stg_regulatory__service_requests') }} as service_requests
    inner join int_service_requests_conformed
        on service_requests.service_request_reference = int_service_requests_conformed.service_request_reference

),

unioned as (

    {{ column_checks('service_requests', 'raw_regulatory.service_requests', 'service_request_reference', {
        'type': ('true', "case when type_name_raw is null then 'REG02' when is_type_cut then 'REG03' end"),
        'status': ('status_name is not null', "case when is_open and closed_date is not null then 'REG06' end"),
        'received_date': date_check('received_date'),
        'closed_date': (
            'not is_open or closed_date is not null',
            "coalesce(" ~ date_fault('closed_date', 'as_at_date')
            ~ ", case when closed_date is null then 'REG05' when is_closed_before_received then 'REG01' end)"
        ),
        'received_how': ('true', "case when received_how is null then 'REG08' when channel_code is null then 'REG07' end"),
        'latitude': ('true', "case when latitude is null or longitude is null then 'REG04' end"),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
