with

finance__fct_invoice_payments as (

    select * from {{ ref('finance__fct_invoice_payments') }}

),

-- credits and disputed invoices are not measured; an invoice falls due on its last prompt date
measured as (

    select
        *,
        coalesce(paid_date, case when is_paid_in_30_days is false then last_prompt_date end) as counted_date
    from finance__fct_invoice_payments
    where is_paid_in_30_days is not null

),

-- reporting periods of the Procurement Act 2023, section 69: from April to September and from October to March
dated as (

    select
        *,
        make_date(
            extract(year from counted_date)::integer - (extract(month from counted_date) < 4)::integer,
            case when extract(month from counted_date) between 4 and 9 then 4 else 10 end,
            1
        ) as period_start_date
    from measured

),

final as (

    select
        period_start_date as "Period start",
        (period_start_date + interval '6 months' - interval '1 day')::date as "Period end",
        count(*) filter (where is_paid) as "Invoices paid",
        count(*) filter (where is_paid and is_paid_in_30_days) as "Paid within 30 days",
        round(
            100.0 * count(*) filter (where is_paid and is_paid_in_30_days)
            / nullif(count(*) filter (where is_paid), 0), 1
        )::numeric(4, 1) as "Per cent within 30 days",
        count(*) filter (where is_paid and not is_paid_in_30_days and late_days <= 30) as "Paid in 31 to 60 days",
        count(*) filter (where is_paid and late_days > 30) as "Paid after 60 days",
        count(*) filter (where not is_paid) as "Due and not paid",
        round(100.0 * count(*) filter (where not is_paid) / count(*), 1)::numeric(4, 1) as "Per cent due and not paid",
        (avg(payment_days + 1) filter (where is_paid))::numeric(9, 1) as "Mean days to payment",
        sum(net_amount_gbp) filter (where is_paid and not is_paid_in_30_days)::numeric(18, 2) as "Paid late GBP",
        sum(interest_owed_gbp)::numeric(18, 2) as "Interest owed GBP",
        sum(compensation_owed_gbp)::numeric(18, 2) as "Compensation owed GBP",
        max(as_at_date) as "As at"
    from dated
    group by period_start_date

)

select * from final
