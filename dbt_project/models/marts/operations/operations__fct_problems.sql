with

stg_governance__alerts as (

    select * from {{ ref('stg_governance__alerts') }}

),

alert_kinds as (

    select * from {{ ref('alert_kinds') }}

),

final as (

    select
        stg_governance__alerts.alert_id,
        stg_governance__alerts.kind,
        coalesce(alert_kinds.title, stg_governance__alerts.kind) as kind_title,
        coalesce(alert_kinds.effect, 'Not known') as effect,
        stg_governance__alerts.subject,
        {{ local_time('stg_governance__alerts.began_at') }} as began_at,
        {{ local_date('stg_governance__alerts.began_at') }} as began_date,
        {{ local_time('stg_governance__alerts.ended_at') }} as ended_at,
        (
            extract(
                epoch from greatest(
                    coalesce(stg_governance__alerts.ended_at, {{ build_time() }}), stg_governance__alerts.began_at
                ) - stg_governance__alerts.began_at
            ) / 60
        )::numeric(12, 1) as duration_minutes,
        stg_governance__alerts.ended_at is null as is_open,
        stg_governance__alerts.occurrences,
        nullif(stg_governance__alerts.publish_sets, '') as publish_sets,
        stg_governance__alerts.publish_set_count,
        stg_governance__alerts.report_count
    from stg_governance__alerts
    left join alert_kinds
        on stg_governance__alerts.kind = alert_kinds.kind

)

select * from final
