with

int_street_reports_unioned as (

    select * from {{ ref('int_street_reports_unioned') }}

),

placed as (

    select
        report_key,
        -- what was sent on from one way to another is no repeat of itself
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
        report_key,
        earlier_count as earlier_report_count,
        latest_earlier as latest_earlier_reported_at
    from repeats

)

select * from final
