with

usage__fct_mart_reads as (

    select * from {{ ref('usage__fct_mart_reads') }}

),

final as (

    select
        date_trunc('week', read_date)::date as "Week beginning",
        publish_set as "Publish set",
        login_name as "Login",
        count(*) filter (where not is_refused) as "Reads",
        count(distinct table_name) filter (where not is_refused) as "Tables read",
        count(distinct read_date) filter (where not is_refused) as "Days with a read",
        max(read_at) filter (where not is_refused) as "Last read",
        count(*) filter (where is_refused) as "Refused"
    from usage__fct_mart_reads
    group by
        date_trunc('week', read_date)::date,
        publish_set,
        login_name

)

select * from final
