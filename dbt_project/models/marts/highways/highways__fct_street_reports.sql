with

int_street_reports_unioned as (

    select * from {{ ref('int_street_reports_unioned') }}

),

int_street_reports_repeated as (

    select * from {{ ref('int_street_reports_repeated') }}

),

final as (

    select
        int_street_reports_unioned.report_key,
        int_street_reports_unioned.report_reference,
        int_street_reports_unioned.category_name,
        int_street_reports_unioned.report_status_code,
        int_street_reports_unioned.ward_name,
        int_street_reports_unioned.latitude,
        int_street_reports_unioned.longitude,
        int_street_reports_unioned.is_open,
        case
            when int_street_reports_unioned.latitude is not null and int_street_reports_unioned.longitude is not null
                then int_street_reports_repeated.report_key is not null
        end as is_repeat,
        int_street_reports_unioned.reported_at,
        int_street_reports_unioned.updated_at,
        int_street_reports_unioned.reported_date,
        int_street_reports_unioned.updated_date
    from int_street_reports_unioned
    left join int_street_reports_repeated
        on int_street_reports_unioned.report_key = int_street_reports_repeated.report_key

)

select * from final
