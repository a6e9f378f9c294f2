with

staged as (

    select
        count(*) as rows_in,
        sum(annual_value_gbp) as pounds_in
    from {{ ref('stg_procurement__contracts') }}

),

mart as (

    select
        count(*) as rows_out,
        sum(annual_value_gbp) as pounds_out
    from {{ ref('finance__fct_contracts') }}

)

select
    staged.rows_in,
    mart.rows_out
from staged
inner join mart
    on
        staged.rows_in <> mart.rows_out
        or staged.pounds_in <> mart.pounds_out
