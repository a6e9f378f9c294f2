with

ledger_lines as (

    select * from {{ ref('stg_erp__ledger_lines') }}

),

budgets as (

    select * from {{ ref('stg_procurement__budgets') }}

),

names as (

    select
        paying_body_uri,
        cost_centre_code,
        paying_body_name,
        -- the ledger cuts the name at 20 characters
        {{ listed('organisational_unit_name', 'select left(organisational_unit_name, 20) from budgets') }}
            as organisational_unit_name,
        {{ is_redacted('organisational_unit_name') }} as is_redacted,
        count(*) as line_count,
        max(payment_date) as last_payment_date
    from ledger_lines
    group by
        paying_body_uri,
        cost_centre_code,
        paying_body_name,
        organisational_unit_name

    union all

    -- a cost centre may have a budget before its first payment
    select distinct
        paying_body_uri,
        cost_centre_code,
        paying_body_name,
        organisational_unit_name,
        {{ is_redacted('organisational_unit_name') }} as is_redacted,
        0 as line_count,
        null::date as last_payment_date
    from budgets

),

-- the latest name of the budgets' list is used, but a name that was withheld once stays withheld
cost_centres as (

    select distinct on (paying_body_uri, cost_centre_code) *
    from names
    order by
        paying_body_uri asc, cost_centre_code asc,
        is_redacted desc, coalesce(organisational_unit_name = 'Other', false) asc,
        last_payment_date desc nulls last, line_count desc, organisational_unit_name asc

),

final as (

    select
        {{ surrogate_key(['paying_body_uri', 'cost_centre_code']) }} as cost_centre_key,
        cost_centre_code,
        case
            when cost_centre_code is null then 'No cost centre'
            when is_redacted then 'Redacted'
            else organisational_unit_name
        end as cost_centre_name,
        paying_body_name,
        paying_body_uri,
        is_redacted
    from cost_centres

)

select * from final
