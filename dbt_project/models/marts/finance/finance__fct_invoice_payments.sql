with

invoices as (

    select * from {{ ref('stg_procurement__invoices') }}

),

orders as (

    select * from {{ ref('stg_procurement__orders') }}

),

order_lines as (

    select * from {{ ref('stg_procurement__order_lines') }}

),

contracts as (

    select * from {{ ref('stg_procurement__contracts') }}

),

bank_of_england_base_rates as (

    select * from {{ ref('bank_of_england_base_rates') }}

),

bridge_organisations_suppliers as (

    select * from {{ ref('bridge_organisations_suppliers') }}

),

-- the data go up to the latest change to an invoice
as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from invoices

),

suppliers as (

    select distinct
        supplier_id,
        organisation_key
    from bridge_organisations_suppliers
    where supplier_id is not null

),

ordered as (

    select
        order_id,
        sum(ordered_gbp) as ordered_gbp
    from order_lines
    group by order_id

),

base_rates as (

    select
        base_rate_pct,
        daterange(first_date, lead(first_date) over (order by first_date)) as in_force
    from bank_of_england_base_rates

),

-- an invoice that is paid after the as-at date is not paid yet, and is a finding
credible as (

    select
        invoices.invoice_id,
        invoices.transaction_number,
        invoices.supplier_id,
        invoices.invoice_number,
        invoices.order_id,
        invoices.contract_reference,
        invoices.net_amount_gbp,
        invoices.is_disputed,
        invoices.invoice_date,
        invoices.received_date,
        invoices.terms_date,
        invoices.due_date,
        {{ credible_date('invoices.paid_date', 'as_at.as_at_date') }} as paid_date,
        as_at.as_at_date
    from invoices
    cross join as_at

),

counted as (

    select
        credible.*,
        -- credits are not payable, and disputed invoices are not payable yet
        credible.net_amount_gbp > 0 and not credible.is_disputed as is_measured,
        coalesce(credible.paid_date, credible.as_at_date) - credible.received_date as days_so_far,
        -- payment is due before the end of 30 days that begin with the day of receipt or, if later, the day on which
        -- payment falls due by the invoice (Procurement Act 2023, section 68(2))
        greatest(credible.received_date, credible.terms_date) + 30 as first_late_date
    from credible

),

-- the base rate on the last day before the half-year in which the debt became late applies (SI 2002/1675)
rated as (

    select
        counted.*,
        greatest(coalesce(counted.paid_date, counted.as_at_date) - counted.first_late_date + 1, 0) as late_days,
        8 + base_rates.base_rate_pct as interest_rate_pct
    from counted
    left join base_rates
        on
            (
                make_date(
                    extract(year from counted.first_late_date)::integer,
                    case when extract(month from counted.first_late_date) > 6 then 7 else 1 end,
                    1
                ) - 1
            ) <@ base_rates.in_force

),

final as (

    select
        {{ surrogate_key(['rated.invoice_id']) }} as invoice_key,
        rated.transaction_number,
        rated.invoice_number,
        {{ known_or_unknown('suppliers.organisation_key') }} as supplier_key,
        {{ surrogate_key(['contracts.contract_reference']) }} as contract_key,
        rated.net_amount_gbp,
        ordered.ordered_gbp::numeric(18, 2) as ordered_gbp,
        case when rated.paid_date is not null then rated.days_so_far end as payment_days,
        -- an unpaid invoice is late after 30 days, and neither in time nor late before
        case
            when rated.is_measured and (rated.paid_date is not null or rated.late_days > 0) then rated.late_days = 0
        end as is_paid_in_30_days,
        case when rated.is_measured then rated.late_days end as late_days,
        case when rated.is_measured and rated.late_days > 0 then rated.interest_rate_pct end as interest_rate_pct,
        case
            when rated.is_measured
                then round(
                    rated.net_amount_gbp * rated.interest_rate_pct / 100 * rated.late_days / 365, 2
                )
        end::numeric(18, 2) as interest_owed_gbp,
        -- Late Payment of Commercial Debts (Interest) Act 1998, section 5A
        case
            when not rated.is_measured then null
            when rated.late_days = 0 then 0
            when rated.net_amount_gbp < 1000 then 40
            when rated.net_amount_gbp < 10000 then 70
            else 100
        end::numeric(18, 2) as compensation_owed_gbp,
        rated.is_disputed,
        rated.paid_date is not null as is_paid,
        orders.order_id is not null as has_order,
        coalesce(orders.order_date > rated.invoice_date, false) as is_ordered_after_invoice,
        coalesce(contracts.end_date < rated.invoice_date, false) as is_after_contract_end,
        not coalesce(contracts.end_date >= rated.invoice_date, false) as is_off_contract,
        rated.invoice_date,
        rated.received_date,
        rated.first_late_date - 1 as last_prompt_date,
        rated.due_date,
        rated.paid_date,
        rated.as_at_date
    from rated
    left join suppliers
        on rated.supplier_id = suppliers.supplier_id
    left join orders
        on rated.order_id = orders.order_id
    left join ordered
        on rated.order_id = ordered.order_id
    left join contracts
        on rated.contract_reference = contracts.contract_reference

)

select * from final
