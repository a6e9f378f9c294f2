with

staged as (

    select
        count(*) as rows_in,
        sum(net_amount_gbp) as pounds_in
    from {{ ref('stg_procurement__invoices') }}

),

mart as (

    select
        count(*) as rows_out,
        sum(net_amount_gbp) as pounds_out
    from {{ ref('finance__fct_invoice_payments') }}

)

select
    staged.rows_in,
    mart.rows_out
from staged
inner join mart
    on
        staged.rows_in <> mart.rows_out
        or staged.pounds_in <> mart.pounds_out
