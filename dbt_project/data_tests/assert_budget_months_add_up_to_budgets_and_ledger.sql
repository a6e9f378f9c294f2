with

budgeted as (

    select sum(budget_gbp) as pounds
    from {{ ref('stg_procurement__budgets') }}

),

posted as (

    select sum(net_amount_gbp + irrecoverable_vat_gbp) as pounds
    from {{ ref('stg_erp__ledger_lines') }}

),

mart as (

    select
        sum(budget_gbp) as budget_gbp,
        sum(actual_gbp) as actual_gbp
    from {{ ref('finance__fct_budget_months') }}

)

select mart.*
from mart
cross join budgeted
cross join posted
where mart.budget_gbp <> coalesce(budgeted.pounds, 0) or mart.actual_gbp <> coalesce(posted.pounds, 0)
