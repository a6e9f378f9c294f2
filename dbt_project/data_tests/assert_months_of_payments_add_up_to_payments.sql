with

totals as (

    select
        'payments' as counted_in,
        date_trunc('month', payment_date)::date as month_start_date,
        count(*) as payment_lines,
        sum(net_amount_gbp) as net_amount_gbp,
        coalesce(sum(net_amount_gbp) filter (where is_over_500), 0) as spend_over_500_gbp
    from {{ ref('finance__fct_supplier_payments') }}
    group by month_start_date

    union all

    select
        'supplier months' as counted_in,
        month_start_date,
        sum(payment_lines) as payment_lines,
        sum(net_amount_gbp) as net_amount_gbp,
        sum(spend_over_500_gbp) as spend_over_500_gbp
    from {{ ref('finance__fct_supplier_months') }}
    group by month_start_date

    union all

    select
        'cost centre months' as counted_in,
        month_start_date,
        sum(payment_lines) as payment_lines,
        sum(net_amount_gbp) as net_amount_gbp,
        sum(spend_over_500_gbp) as spend_over_500_gbp
    from {{ ref('finance__fct_cost_centre_months') }}
    group by month_start_date

    union all

    select
        'payment months' as counted_in,
        month_start_date,
        payment_lines,
        net_amount_gbp,
        spend_over_500_gbp
    from {{ ref('finance__fct_payment_months') }}

)

select
    month_start_date,
    jsonb_object_agg(counted_in, jsonb_build_array(payment_lines, net_amount_gbp, spend_over_500_gbp)) as totals
from totals
group by month_start_date
having
    count(*) <> 4
    or count(distinct payment_lines) <> 1
    or count(distinct net_amount_gbp) <> 1
    or count(distinct spend_over_500_gbp) <> 1
