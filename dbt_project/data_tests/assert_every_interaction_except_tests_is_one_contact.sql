with

landed as (

    select count(*) as row_count
    from {{ ref('stg_dynamics__interactions') }} as interactions
    left join {{ ref('stg_dynamics__incidents') }} as incidents
        on interactions.case_reference = incidents.case_reference
    where incidents.is_test is not true

),

published as (

    select count(*) as row_count
    from {{ ref('customer__fct_contacts') }}

)

select
    landed.row_count as landed_count,
    published.row_count as published_count
from landed
cross join published
where landed.row_count <> published.row_count
