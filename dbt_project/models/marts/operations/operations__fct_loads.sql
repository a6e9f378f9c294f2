with

stg_governance__loads as (

    select * from {{ ref('stg_governance__loads') }}

),

final as (

    select
        load_audit_id,
        system_name,
        table_name,
        {{ local_time('loaded_at') }} as loaded_at,
        {{ local_date('loaded_at') }} as loaded_date,
        rows_read,
        rows_written,
        rows_rejected,
        rows_skipped,
        rows_total,
        data_up_to_date
    from stg_governance__loads

)

select * from final
