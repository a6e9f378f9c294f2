with

staged as (

    select count(*) as row_count
    from {{ ref('stg_capita__suspensions') }}

),

published as (

    select count(*) as row_count
    from {{ ref('education__fct_suspensions') }}

)

select
    staged.row_count as staged_count,
    published.row_count as published_count
from staged
cross join published
where staged.row_count <> published.row_count
