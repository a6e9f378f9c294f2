with

budgets as (

    select * from {{ ref('stg_procurement__budgets') }}

),

ledger_lines as (

    select * from {{ ref('stg_erp__ledger_lines') }}

),

-- spend by month of posting, whatever the payment date
actual as (

    select
        paying_body_uri,
        cost_centre_code,
        date_trunc('month', effective_date)::date as month_start_date,
        sum(net_amount_gbp + irrecoverable_vat_gbp) as actual_gbp
    from ledger_lines
    group by paying_body_uri, cost_centre_code, month_start_date

),

unioned as (

    select
        paying_body_uri,
        cost_centre_code,
        month_start_date,
        budget_gbp,
        null::numeric as actual_gbp
    from budgets

    union all

    select
        paying_body_uri,
        cost_centre_code,
        month_start_date,
        null as budget_gbp,
        actual_gbp
    from actual

),

-- the data go up to the latest month with a posting, not after the day on which the file was written
as_at as (

    select max(month_start_date) as last_month_start_date
    from actual
    where month_start_date <= {{ extract_date('erp') }}

),

final as (

    select
        {{ surrogate_key(['unioned.paying_body_uri', 'unioned.cost_centre_code']) }} as cost_centre_key,
        unioned.month_start_date,
        coalesce(sum(unioned.budget_gbp), 0)::numeric(18, 2) as budget_gbp,
        coalesce(sum(unioned.actual_gbp), 0)::numeric(18, 2) as actual_gbp,
        case
            when unioned.month_start_date <= as_at.last_month_start_date
                then coalesce(sum(unioned.actual_gbp), 0) - coalesce(sum(unioned.budget_gbp), 0)
        end::numeric(18, 2) as variance_gbp,
        coalesce(
            case
                when unioned.month_start_date <= as_at.last_month_start_date then sum(unioned.actual_gbp)
                else sum(unioned.budget_gbp)
            end, 0
        )::numeric(18, 2) as forecast_gbp,
        count(unioned.budget_gbp) > 0 as has_budget
    from unioned
    cross join as_at
    group by
        unioned.paying_body_uri,
        unioned.cost_centre_code,
        unioned.month_start_date,
        as_at.last_month_start_date

)

select * from final
