with

ledger_lines as (

    select
        count(*) as line_count,
        sum(net_amount_gbp) as amount_gbp,
        count(*) filter (where lower(supplier_name) like '%redacted%') as redacted_count,
        0 as wrong_count
    from {{ ref('stg_erp__ledger_lines') }}
    where net_amount_gbp > 500

),

spend as (

    select
        count(*) as line_count,
        sum("Amount") as amount_gbp,
        count(*) filter (where "BeneficiaryName" = 'Redacted') as redacted_count,
        count(*) filter (where "Amount" <= 500) as wrong_count
    from {{ ref('finance__rpt_spend_over_500') }}

)

select *
from ledger_lines
except
select *
from spend
