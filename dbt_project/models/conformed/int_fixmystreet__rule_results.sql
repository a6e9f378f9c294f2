with

reports as (

    select
        *,
        regexp_match(location_text, '^\((-?\d+\.?\d*), (-?\d+\.?\d*)\)$')::numeric[] as location_numbers
    from {{ ref('stg_fixmystreet__reports') }}

),

unioned as (

    {{ column_checks('reports', 'raw_fixmystreet.reports', 'report_number', {
        'state': ('state_name is not null', "case when report_status_code is null then 'FMS01' end"),
        'whensent': ('sent_at is not null', "case when sent_at < reported_at then 'FMS02' end"),
        'lastupdate': ('updated_at is not null', "case when updated_at < reported_at then 'FMS03' end"),
        'latitude': ('true', "case when latitude is null or longitude is null then 'FMS04' end"),
        'location': (
            'location_text is not null',
            "case when location_numbers is null or latitude <> location_numbers[1] or longitude <> location_numbers[2] "
            "then 'FMS05' end"
        ),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
