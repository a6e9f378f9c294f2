with

stg_governance__publications as (

    select * from {{ ref('stg_governance__publications') }}

),

final as (

    select
        publish_set,
        {{ local_time("min(decided_at) filter (where outcome = 'Published')") }} as first_published_at,
        {{ local_time("max(decided_at) filter (where outcome = 'Published')") }} as last_published_at,
        {{ local_date(build_time()) }} as as_at_date
    from stg_governance__publications
    group by publish_set

)

select * from final
