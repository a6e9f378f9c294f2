with

int_budgets_compared as (

    select * from {{ ref('int_budgets_compared') }}

),

final as (

    select
        cost_centre_key,
        month_start_date,
        budget_gbp,
        actual_gbp,
        variance_gbp,
        has_budget
    from int_budgets_compared

)

select * from final
