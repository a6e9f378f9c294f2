with

fixmystreet_reports as (

    select * from {{ ref('stg_fixmystreet__reports') }}

),

open311_requests as (

    select * from {{ ref('stg_open311__service_requests') }}

),

unioned as (

    select
        'fixmystreet' as source_name,
        {{ surrogate_key(["'fixmystreet'", 'report_number']) }} as report_key,
        report_number as report_reference,
        category_name,
        report_status_code,
        ward_name,
        latitude,
        longitude,
        reported_at,
        updated_at
    from fixmystreet_reports

    union all

    select
        'open311' as source_name,
        {{ surrogate_key(["'open311'", 'service_request_id']) }} as report_key,
        service_request_id as report_reference,
        service_name as category_name,
        status_name as report_status_code,
        null as ward_name,
        latitude,
        longitude,
        requested_at as reported_at,
        updated_at
    from open311_requests

),

final as (

    select
        report_key,
        report_reference,
        source_name,
        category_name,
        report_status_code,
        ward_name,
        latitude,
        longitude,
        report_status_code = 'open' as is_open,
        reported_at,
        updated_at,
        {{ local_date('reported_at') }} as reported_date,
        {{ local_date('updated_at') }} as updated_date
    from unioned

)

select * from final
