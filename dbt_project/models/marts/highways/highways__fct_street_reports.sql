with

int_street_reports_unioned as (

    select * from {{ ref('int_street_reports_unioned') }}

),

placed as (

    select
        report_key,
        -- a report forwarded to another reporting service is not a repeat of itself
        source_name,
        category_name,
        reported_at,
        {{ metres_east('latitude', 'longitude') }} as x,
        {{ metres_north('latitude') }} as y
    from int_street_reports_unioned
    where latitude is not null and longitude is not null

),

{{ earlier_nearby('report_key', 'reported_at', ['source_name', 'category_name']) }},

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
                then repeats.report_key is not null
        end as is_repeat,
        {{ local_time('int_street_reports_unioned.reported_at') }} as reported_at,
        {{ local_time('int_street_reports_unioned.updated_at') }} as updated_at,
        int_street_reports_unioned.reported_date,
        int_street_reports_unioned.updated_date
    from int_street_reports_unioned
    left join repeats
        on int_street_reports_unioned.report_key = repeats.report_key

)

select * from final
