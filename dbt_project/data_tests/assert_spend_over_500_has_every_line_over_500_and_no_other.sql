with

items as (

    select
        count(*) as line_count,
        sum(net_amount_gbp) as amount_gbp,
        count(*) filter (where is_redacted) as redacted_count
    from {{ ref('stg_erp__ledger_lines') }}
    group by
        paying_body_uri,
        transaction_number,
        coalesce(supplier_id, supplier_name),
        invoice_number,
        case when is_redacted or transaction_number is null then source_file || ' ' || source_row_number end
    having abs(sum(net_amount_gbp)) > 500

),

ledger_lines as (

    select
        sum(line_count) as line_count,
        sum(amount_gbp) as amount_gbp,
        sum(redacted_count) as redacted_count
    from items

),

spend as (

    select
        count(*) as line_count,
        sum("Amount") as amount_gbp,
        count(*) filter (where "BeneficiaryName" = 'Redacted') as redacted_count
    from {{ ref('finance__rpt_spend_over_500') }}

)

select *
from ledger_lines
except
select *
from spend
