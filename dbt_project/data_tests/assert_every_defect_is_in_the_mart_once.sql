with

defects as (

    select
        count(*) as row_count,
        count(required_completion_at) as required_count
    from {{ ref('stg_confirm__defects') }}

),

mart as (

    select
        count(*) as row_count,
        count(required_completion_at) as required_count
    from {{ ref('highways__fct_defects') }}

)

select *
from defects
except
select *
from mart
