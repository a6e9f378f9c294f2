with

source as (

    select * from {{ source('raw_serverlog', 'entries') }}

),

entries as (

    select
        *,
        {{ sql_code('message') }} as code,
        {{ sql_code('detail') }} as prepared_code,
        lead(virtual_transaction_id) over session_entries = virtual_transaction_id
        and lead(sql_state_code) over session_entries = '42501' as is_followed_by_refusal
    from source
    where database_name = {{ warehouse_database() }}
    window session_entries as (partition by session_id order by session_line_num)

),

renamed as (

    select
        -- ids
        session_id,
        session_line_num as entry_number,
        coalesce(substring(message from '^AUDIT: SESSION,(\d+),')::bigint, session_line_num) as statement_number,

        -- text
        user_name as login_name,
        {{ clean_text('application_name') }} as application_name,
        {{ mart_tables_in("concat_ws(' ', entries.code, entries.prepared_code)") }} as tables_read,

        -- booleans
        message not like 'AUDIT: %' and coalesce(is_followed_by_refusal, false) as is_refused,

        -- dates
        log_time::timestamptz as read_at

    from entries
    where
        error_severity = 'LOG'
        and message ~ '^(AUDIT: SESSION,\d+,\d+,READ,|statement: |execute (?!fetch from )[^:]*: )'
        -- PREPARE alone reads nothing; EXECUTE does, and its entry includes the prepared statement. EXPLAIN is a read
        and code !~* '^statement:\s+prepare\M[^;]*;?\s*$'
        -- a login that is neither a service nor an administrator is a reader, even if access.yml no longer lists it
        and user_name !~ '^(svc|wh|pg)_'
        and not governance.is_administrator(user_name)

)

select * from renamed
