with

stg_governance__publications as (

    select * from {{ ref('stg_governance__publications') }}

),

stg_governance__builds as (

    select * from {{ ref('stg_governance__builds') }}

),

stg_governance__build_tables as (

    select * from {{ ref('stg_governance__build_tables') }}

),

row_counts as (

    select
        build_id,
        sum(row_count)::bigint as row_count
    from stg_governance__build_tables
    group by build_id

),

-- a build that is published after an approval, or again by a rollback, has an earlier outcome, which has its cost
numbered as (

    select
        *,
        row_number() over (partition by build_id order by publication_id) = 1 as is_first_of_build
    from stg_governance__publications

),

final as (

    select
        numbered.publication_id,
        numbered.publish_set,
        numbered.outcome,
        {{ local_time('numbered.decided_at') }} as decided_at,
        {{ local_date('numbered.decided_at') }} as decided_date,
        case
            when numbered.is_first_of_build
                then extract(epoch from numbered.decided_at - stg_governance__builds.opened_at)::numeric(12, 1)
        end as build_seconds,
        case
            when numbered.is_first_of_build then stg_governance__builds.model_seconds::numeric(12, 1)
        end as model_seconds,
        numbered.tests_passed,
        numbered.tests_warned,
        numbered.tests_failed,
        stg_governance__builds.raw_table_count,
        numbered.model_count,
        row_counts.row_count
    from numbered
    left join stg_governance__builds
        on numbered.build_id = stg_governance__builds.build_id
    left join row_counts
        on numbered.build_id = row_counts.build_id

)

select * from final
