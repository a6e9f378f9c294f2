with

int_mart_reads_conformed as (

    select * from {{ ref('int_mart_reads_conformed') }}

),

final as (

    select
        mart_read_key,
        login_name,
        publish_set,
        table_name,
        application_name,
        is_refused,
        read_at,
        read_date
    from int_mart_reads_conformed

)

select * from final
