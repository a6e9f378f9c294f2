with

libraries__fct_loan_days as (

    select * from {{ ref('libraries__fct_loan_days') }}

),

libraries__fct_visit_months as (

    select * from {{ ref('libraries__fct_visit_months') }}

),

libraries__dim_branches as (

    select * from {{ ref('libraries__dim_branches') }}

),

loans as (

    select
        branch_key,
        date_trunc('month', loan_date)::date as month_start_date,
        sum(loans)::bigint as loans
    from libraries__fct_loan_days
    group by
        branch_key,
        date_trunc('month', loan_date)

),

joined as (

    select
        coalesce(libraries__fct_visit_months.branch_key, loans.branch_key) as branch_key,
        coalesce(libraries__fct_visit_months.month_start_date, loans.month_start_date) as month_start_date,
        loans.loans,
        libraries__fct_visit_months.visits
    from loans
    full join libraries__fct_visit_months
        on
            loans.branch_key = libraries__fct_visit_months.branch_key
            and loans.month_start_date = libraries__fct_visit_months.month_start_date

),

final as (

    select
        joined.branch_key,
        joined.month_start_date,
        joined.loans,
        joined.visits,
        libraries__dim_branches.population
    from joined
    left join libraries__dim_branches
        on joined.branch_key = libraries__dim_branches.branch_key

)

select * from final
