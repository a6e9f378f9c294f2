with

staged as (

    select count(*) as figure
    from {{ ref('stg_koha__loan_events') }}

),

published as (

    select coalesce(sum(loans + staff_card_loans + returned_items), 0) as figure
    from {{ ref('libraries__fct_loan_days') }}

)

select
    staged.figure as staged_figure,
    published.figure as published_figure
from staged
cross join published
where staged.figure <> published.figure
