with

staged as (

    select coalesce(sum(visit_count), 0) as figure
    from {{ ref('stg_koha__visits') }}

),

published as (

    select coalesce(sum(visits_reported), 0) as figure
    from {{ ref('libraries__fct_visit_months') }}

)

select
    staged.figure as staged_figure,
    published.figure as published_figure
from staged
cross join published
where staged.figure <> published.figure
