with

orders as (

    select * from {{ ref('stg_procurement__orders') }}

),

order_lines as (

    select * from {{ ref('stg_procurement__order_lines') }}

),

invoices as (

    select * from {{ ref('stg_procurement__invoices') }}

),

budgets as (

    select * from {{ ref('stg_procurement__budgets') }}

),

contracts as (

    select * from {{ ref('stg_procurement__contracts') }}

),

bridge_organisations_suppliers as (

    select * from {{ ref('bridge_organisations_suppliers') }}

),

-- the data go up to the latest change to an order
as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from orders

),

suppliers as (

    select distinct
        supplier_id,
        organisation_key
    from bridge_organisations_suppliers
    where supplier_id is not null

),

invoiced as (

    select
        order_id,
        sum(net_amount_gbp) as invoiced_gbp
    from invoices
    where order_id is not null
    group by order_id

),

-- orders name no paying body: the body is the one that has a budget for the cost centre
cost_centres as (

    select
        cost_centre_code,
        min(paying_body_uri) as paying_body_uri
    from budgets
    group by cost_centre_code
    having count(distinct paying_body_uri) = 1

),

summed as (

    select
        order_lines.order_id,
        order_lines.line_number,
        order_lines.cost_centre_code,
        order_lines.ordered_gbp,
        coalesce(invoiced.invoiced_gbp, 0) as invoiced_gbp,
        coalesce(sum(order_lines.ordered_gbp) over (
            partition by order_lines.order_id
            order by order_lines.line_number rows between unbounded preceding and 1 preceding
        ), 0) as earlier_gbp
    from order_lines
    left join invoiced
        on order_lines.order_id = invoiced.order_id

),

-- an invoice names the order and not its lines: its amount is used up line by line
shared as (

    select
        *,
        greatest(earlier_gbp + ordered_gbp - invoiced_gbp, 0) as left_gbp,
        greatest(earlier_gbp - invoiced_gbp, 0) as left_before_gbp
    from summed

),

final as (

    select
        {{ surrogate_key(['shared.order_id', 'shared.line_number']) }} as order_line_key,
        shared.order_id as order_number,
        shared.line_number,
        {{ known_or_unknown('suppliers.organisation_key') }} as supplier_key,
        {{ surrogate_key(['contracts.contract_reference']) }} as contract_key,
        case
            when cost_centres.cost_centre_code is null then {{ unknown_key() }}
            else {{ surrogate_key(['cost_centres.paying_body_uri', 'cost_centres.cost_centre_code']) }}
        end as cost_centre_key,
        shared.ordered_gbp,
        case
            when orders.is_open then shared.left_gbp - shared.left_before_gbp
            else 0
        end::numeric(18, 2) as committed_gbp,
        orders.is_open,
        orders.order_date,
        as_at.as_at_date
    from shared
    cross join as_at
    inner join orders
        on shared.order_id = orders.order_id
    left join suppliers
        on orders.supplier_id = suppliers.supplier_id
    left join cost_centres
        on shared.cost_centre_code = cost_centres.cost_centre_code
    left join contracts
        on orders.contract_reference = contracts.contract_reference

)

select * from final
