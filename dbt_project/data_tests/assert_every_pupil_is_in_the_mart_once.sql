with

staged as (

    select count(*) as row_count
    from {{ ref('stg_capita__pupils') }}

),

published as (

    select count(*) as row_count
    from {{ ref('education__dim_pupils') }}

)

select
    staged.row_count as staged_count,
    published.row_count as published_count
from staged
cross join published
where staged.row_count <> published.row_count
