with

cp_plans as (

    select
        {{ surrogate_key(['cp_plan_id']) }} as protection_plan_key,
        cp_plan_id
    from {{ ref('stg_liquidlogic__cp_plans') }}

)

select
    coalesce(cp_plans.protection_plan_key, children__fct_protection_plans.protection_plan_key) as protection_plan_key,
    count(children__fct_protection_plans.protection_plan_key) as row_count
from cp_plans
full join {{ ref('children__fct_protection_plans') }} as children__fct_protection_plans
    on cp_plans.protection_plan_key = children__fct_protection_plans.protection_plan_key
group by 1
having count(children__fct_protection_plans.protection_plan_key) <> 1 or count(cp_plans.protection_plan_key) <> 1
