with

incidents as (

    select case_reference
    from {{ ref('stg_dynamics__incidents') }}
    where not is_test

)

select
    incidents.case_reference,
    count(customer__fct_cases.case_key) as row_count
from incidents
full join {{ ref('customer__fct_cases') }} as customer__fct_cases
    on incidents.case_reference = customer__fct_cases.case_reference
group by incidents.case_reference
having count(customer__fct_cases.case_key) <> 1 or count(incidents.case_reference) <> 1
