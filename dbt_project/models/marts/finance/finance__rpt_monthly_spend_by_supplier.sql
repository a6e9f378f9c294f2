with

finance__fct_supplier_months as (

    select * from {{ ref('finance__fct_supplier_months') }}

),

finance__fct_card_payments as (

    select * from {{ ref('finance__fct_card_payments') }}

),

finance__dim_suppliers as (

    select * from {{ ref('finance__dim_suppliers') }}

),

finance__dim_dates as (

    select * from {{ ref('finance__dim_dates') }}

),

payments as (

    select
        supplier_key,
        month_start_date as payment_date,
        payment_lines,
        net_amount_gbp as invoice_amount_gbp,
        0 as card_amount_gbp
    from finance__fct_supplier_months

    union all

    select
        supplier_key,
        payment_date,
        1 as payment_lines,
        0 as invoice_amount_gbp,
        net_amount_gbp as card_amount_gbp
    from finance__fct_card_payments

),

final as (

    select
        finance__dim_dates.financial_year as "Financial year",
        finance__dim_dates.financial_period as "Period",
        finance__dim_dates.month_start_date as "Month",
        -- lines with a withheld supplier share one row, so that the report adds up to the ledger
        finance__dim_suppliers.supplier_name as "Supplier",
        sum(payments.payment_lines)::bigint as "Payment lines",
        sum(payments.invoice_amount_gbp)::numeric(18, 2) as "Paid by invoice net GBP",
        sum(payments.card_amount_gbp)::numeric(18, 2) as "Paid by card net GBP"
    from payments
    inner join finance__dim_dates
        on payments.payment_date = finance__dim_dates.date_day
    inner join finance__dim_suppliers
        on payments.supplier_key = finance__dim_suppliers.supplier_key
    group by
        finance__dim_dates.financial_year,
        finance__dim_dates.financial_period,
        finance__dim_dates.month_start_date,
        payments.supplier_key,
        finance__dim_suppliers.supplier_name

)

select * from final
