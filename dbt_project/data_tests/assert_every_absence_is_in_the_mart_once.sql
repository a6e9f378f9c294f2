with

landed as (

    select count(distinct absence_reference) as row_count
    from {{ ref('stg_itrent__absences') }}

),

published as (

    select count(*) as row_count
    from {{ ref('workforce__fct_absences') }}

)

select
    landed.row_count as landed_count,
    published.row_count as published_count
from landed
cross join published
where landed.row_count <> published.row_count
