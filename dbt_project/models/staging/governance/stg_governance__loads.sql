with

source as (

    select * from {{ source('governance', 'load_audit') }}

),

renamed as (

    select
        -- ids
        load_audit_id,

        -- text
        system as raw_schema_name,
        regexp_replace(system, '^raw_', '') as system_name,
        table_name,

        -- numbers
        rows_read,
        rows_written,
        rows_quarantined as rows_rejected,
        rows_skipped,
        rows_total,

        -- dates; a high watermark that is a number, or a hash, is no date
        loaded_at,
        case
            when high_watermark ~ '^\d{4}-\d\d-\d\d[ T]\d\d:.*([+-]\d\d(:\d\d)?|Z)$'
                then {{ local_date('high_watermark::timestamptz') }}
            when high_watermark ~ '^\d{4}-\d\d-\d\d([ T]|$)' then left(high_watermark, 10)::date
        end as data_up_to_date

    from source

)

select * from renamed
