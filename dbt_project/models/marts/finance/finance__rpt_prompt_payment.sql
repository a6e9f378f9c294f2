with

finance__fct_invoice_payments as (

    select * from {{ ref('finance__fct_invoice_payments') }}

),

final as (

    select
        date_trunc('month', paid_date)::date as "Month",
        count(*) as "Invoices paid",
        count(*) filter (where is_paid_in_30_days) as "Paid within 30 days",
        round(100.0 * count(*) filter (where is_paid_in_30_days) / count(*), 1)::numeric(4, 1)
            as "Per cent within 30 days",
        avg(payment_days)::numeric(9, 1) as "Mean days to payment",
        sum(net_amount_gbp) filter (where not is_paid_in_30_days)::numeric(18, 2) as "Paid late GBP",
        sum(interest_owed_gbp)::numeric(18, 2) as "Interest owed GBP"
    from finance__fct_invoice_payments
    -- credits and disputed invoices are not measured
    where is_paid and is_paid_in_30_days is not null
    group by "Month"

)

select * from final
