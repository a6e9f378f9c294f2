with

finance__fct_supplier_payments as (

    select * from {{ ref('finance__fct_supplier_payments') }}

),

final as (

    select
        supplier_key,
        date_trunc('month', payment_date)::date as month_start_date,
        count(*) as payment_lines,
        sum(net_amount_gbp)::numeric(18, 2) as net_amount_gbp,
        sum(irrecoverable_vat_gbp)::numeric(18, 2) as irrecoverable_vat_gbp,
        coalesce(sum(net_amount_gbp) filter (where is_over_500), 0)::numeric(18, 2) as spend_over_500_gbp
    from finance__fct_supplier_payments
    group by supplier_key, month_start_date

)

select * from final
