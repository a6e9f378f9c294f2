with

finance__fct_supplier_payments as (

    select * from {{ ref('finance__fct_supplier_payments') }}

),

final as (

    select
        date_trunc('month', payment_date)::date as month_start_date,
        count(*) as payment_lines,
        sum(net_amount_gbp)::numeric(18, 2) as net_amount_gbp,
        coalesce(sum(net_amount_gbp) filter (where is_over_500), 0)::numeric(18, 2) as spend_over_500_gbp,
        max(payment_date) as last_payment_date,
        -- a sum, so that the order of the rows does not count
        sum(hashtextextended(finance__fct_supplier_payments::text, 0))::text as fingerprint
    from finance__fct_supplier_payments
    group by month_start_date

)

select * from final
