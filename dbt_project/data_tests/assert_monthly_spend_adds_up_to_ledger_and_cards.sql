with

spend as (

    select
        sum("Payment lines") as line_count,
        sum("Paid by invoice net GBP") as invoice_amount_gbp,
        sum("Paid by card net GBP") as card_amount_gbp
    from {{ ref('finance__rpt_monthly_spend_by_supplier') }}

),

ledger_lines as (

    select
        count(*) as line_count,
        sum(net_amount_gbp) as amount_gbp
    from {{ ref('stg_erp__ledger_lines') }}

),

card_transactions as (

    select
        count(*) as line_count,
        sum(net_amount_gbp) as amount_gbp
    from {{ ref('stg_erp__card_transactions') }}

)

select
    spend.*,
    ledger_lines.line_count as ledger_line_count,
    ledger_lines.amount_gbp as ledger_amount_gbp,
    card_transactions.line_count as card_line_count,
    card_transactions.amount_gbp as card_ledger_amount_gbp
from spend
cross join ledger_lines
cross join card_transactions
where
    spend.line_count <> ledger_lines.line_count + card_transactions.line_count
    or spend.invoice_amount_gbp <> ledger_lines.amount_gbp
    or spend.card_amount_gbp <> card_transactions.amount_gbp
