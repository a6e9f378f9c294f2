with

staged_service_requests as (

    select * from {{ ref('stg_regulatory__service_requests') }}

),

service_request_types as (

    select * from {{ ref('service_request_types') }}

),

contact_channels as (

    select * from {{ ref('contact_channels') }}

),

service_source_values as (

    select * from {{ ref('service_source_values') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

-- the data go up to the day on which the file was written; a later closing has not happened, and is a finding
as_at as (

    select {{ extract_date('regulatory') }} as as_at_date

),

service_requests as (

    select
        staged_service_requests.service_request_reference,
        staged_service_requests.kind_name,
        staged_service_requests.type_name_raw,
        staged_service_requests.status_name,
        staged_service_requests.received_how,
        staged_service_requests.is_open,
        staged_service_requests.received_at,
        {{ credible_date('staged_service_requests.received_date', 'as_at.as_at_date') }} as received_date,
        {{ credible_date('staged_service_requests.closed_date', 'as_at.as_at_date') }} as closed_date,
        as_at.as_at_date
    from staged_service_requests
    cross join as_at

),

described as (

    select
        service_requests.*,
        coalesce(service_request_types.type_name, service_requests.type_name_raw) as type_name,
        coalesce(
            length(service_requests.type_name_raw) = 40
            and service_requests.type_name_raw is distinct from service_request_types.type_name,
            false
        ) as is_type_cut,
        coalesce(services_of_types.service_code, services_of_kinds.service_code) as service_code,
        contact_channels.channel_code,
        contact_channels.channel_name,
        coalesce(service_requests.closed_date < service_requests.received_date, false) as is_closed_before_received
    from service_requests
    left join service_request_types
        on service_requests.type_name_raw = left(service_request_types.type_name, 40)
    left join service_source_values as services_of_types
        on service_requests.type_name_raw = services_of_types.source_value
    left join service_source_values as services_of_kinds
        on service_requests.kind_name = services_of_kinds.source_value
    left join contact_channels
        on service_requests.received_how = contact_channels.source_value

),

final as (

    select
        {{ surrogate_key(['described.service_request_reference']) }} as service_request_key,
        described.service_request_reference,
        described.kind_name,
        described.type_name,
        described.type_name_raw,
        described.service_code,
        described.status_name,
        described.channel_code,
        described.channel_name,
        case
            when not described.is_open and not described.is_closed_before_received
                then closed_on.working_day_number - received_on.working_day_number
        end as close_working_days,
        case
            when described.is_open then as_at_on.working_day_number - received_on.working_day_number
        end as age_working_days,
        described.is_open,
        described.is_type_cut,
        described.is_closed_before_received,
        described.received_at,
        described.received_date,
        described.closed_date,
        described.as_at_date
    from described
    left join dim_dates as received_on
        on described.received_date = received_on.date_day
    left join dim_dates as closed_on
        on described.closed_date = closed_on.date_day
    left join dim_dates as as_at_on
        on described.as_at_date = as_at_on.date_day

)

select * from final
