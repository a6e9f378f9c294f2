with

finance__fct_supplier_payments as (

    select * from {{ ref('finance__fct_supplier_payments') }}

),

months as (

    select
        cost_centre_key,
        date_trunc('month', payment_date)::date as month_start_date,
        account_name,
        proclass_code,
        proclass_name,
        is_on_contract,
        count(*) as payment_lines,
        sum(net_amount_gbp)::numeric(18, 2) as net_amount_gbp,
        sum(irrecoverable_vat_gbp)::numeric(18, 2) as irrecoverable_vat_gbp,
        coalesce(sum(net_amount_gbp) filter (where is_over_500), 0)::numeric(18, 2) as spend_over_500_gbp
    from finance__fct_supplier_payments
    group by cost_centre_key, month_start_date, account_name, proclass_code, proclass_name, is_on_contract

),

final as (

    select
        {{ surrogate_key([
            'cost_centre_key', 'month_start_date', 'account_name', 'proclass_code', 'proclass_name', 'is_on_contract'
        ]) }} as cost_centre_month_key,
        *
    from months

)

select * from final
