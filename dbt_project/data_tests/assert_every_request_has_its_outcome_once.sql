with

staged as (

    select
        coalesce(outcome, '') as outcome,
        count(*) as request_count
    from {{ ref('stg_mosaic__requests') }}
    group by coalesce(outcome, '')

),

published as (

    select
        coalesce(outcome, '') as outcome,
        count(*) as request_count
    from {{ ref('adult_care__fct_request_outcomes') }}
    group by coalesce(outcome, '')

)

(
    select * from staged
    except
    select * from published
)
union all
(
    select * from published
    except
    select * from staged
)
