with

int_street_reports_unioned as (

    select * from {{ ref('int_street_reports_unioned') }}

),

final as (

    select
        report_key,
        report_reference,
        category_name,
        report_status_code,
        ward_name,
        latitude,
        longitude,
        is_open,
        reported_at,
        updated_at,
        reported_date,
        updated_date
    from int_street_reports_unioned

)

select * from final
