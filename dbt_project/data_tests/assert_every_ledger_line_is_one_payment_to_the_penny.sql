-- repeated lines are real spend, so lines are counted and amounts are added up
with

ledger_lines as (

    select
        count(*) as line_count,
        sum(net_amount_gbp) as net_amount_gbp,
        sum(irrecoverable_vat_gbp) as irrecoverable_vat_gbp
    from {{ ref('stg_erp__ledger_lines') }}

),

payments as (

    select
        count(*) as line_count,
        sum(net_amount_gbp) as net_amount_gbp,
        sum(irrecoverable_vat_gbp) as irrecoverable_vat_gbp
    from {{ ref('finance__fct_supplier_payments') }}

)

select *
from ledger_lines
except
select *
from payments
