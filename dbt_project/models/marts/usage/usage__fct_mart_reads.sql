with

statements as (

    select * from {{ ref('stg_serverlog__statements') }}

),

reads as (

    select
        statements.*,
        split_part(table_read, '.', 1) as publish_set,
        split_part(table_read, '.', 2) as table_name
    from statements
    cross join lateral string_to_table(statements.tables_read, ' ') as table_read

),

final as (

    -- pgaudit logs a table each time that the statement names it
    select distinct on (session_id, statement_number, publish_set, table_name)
        {{ surrogate_key(['session_id', 'statement_number', 'publish_set', 'table_name']) }} as mart_read_key,
        login_name,
        publish_set,
        table_name,
        application_name,
        is_refused,
        {{ local_time('read_at') }} as read_at,
        {{ local_date('read_at') }} as read_date
    from reads
    order by session_id, statement_number, publish_set, table_name, read_at

)

select * from final
