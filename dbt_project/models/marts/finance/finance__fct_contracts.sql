with

contracts as (

    select * from {{ ref('stg_procurement__contracts') }}

),

bridge_organisations_suppliers as (

    select * from {{ ref('bridge_organisations_suppliers') }}

),

invoices as (

    select * from {{ ref('stg_procurement__invoices') }}

),

-- the data go up to the latest change to an invoice
as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from invoices

),

-- a supplier number belongs to one organisation, whatever the spelling of its name
suppliers as (

    select distinct
        supplier_id,
        organisation_key
    from bridge_organisations_suppliers
    where supplier_id is not null

),

booked as (

    select
        contract_reference,
        sum(net_amount_gbp) as invoiced_gbp,
        max(received_date) as last_invoice_date
    from invoices
    where contract_reference is not null
    group by contract_reference

),

final as (

    select
        {{ surrogate_key(['contracts.contract_reference']) }} as contract_key,
        contracts.contract_reference,
        contracts.contract_title,
        contracts.department_name,
        {{ known_or_unknown('suppliers.organisation_key') }} as supplier_key,
        contracts.supplier_id as payee_reference,
        contracts.supplier_name as payee_name,
        contracts.cpv_code,
        contracts.procedure_name,
        contracts.annual_value_gbp,
        -- a year has 365.25 days, on average
        round(
            contracts.annual_value_gbp * (contracts.end_date - contracts.start_date + 1) / 365.25, 2
        )::numeric(18, 2) as total_value_gbp,
        coalesce(booked.invoiced_gbp, 0)::numeric(18, 2) as invoiced_gbp,
        contracts.is_sme,
        contracts.is_vcse,
        as_at.as_at_date between contracts.start_date and contracts.end_date as is_in_force,
        coalesce(contracts.review_date <= as_at.as_at_date and contracts.end_date >= as_at.as_at_date, false)
            as is_review_due,
        contracts.start_date,
        contracts.end_date,
        contracts.review_date,
        booked.last_invoice_date,
        as_at.as_at_date
    from contracts
    cross join as_at
    left join suppliers
        on contracts.supplier_id = suppliers.supplier_id
    left join booked
        on contracts.contract_reference = booked.contract_reference

)

select * from final
