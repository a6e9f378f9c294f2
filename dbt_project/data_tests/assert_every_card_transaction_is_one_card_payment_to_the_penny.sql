with

card_transactions as (

    select
        count(*) as line_count,
        sum(net_amount_gbp) as net_amount_gbp,
        sum(irrecoverable_vat_gbp) as irrecoverable_vat_gbp
    from {{ ref('stg_erp__card_transactions') }}

),

payments as (

    select
        count(*) as line_count,
        sum(net_amount_gbp) as net_amount_gbp,
        sum(irrecoverable_vat_gbp) as irrecoverable_vat_gbp
    from {{ ref('finance__fct_card_payments') }}

)

select *
from card_transactions
except
select *
from payments
