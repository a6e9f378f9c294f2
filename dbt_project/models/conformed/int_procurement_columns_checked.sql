with

contracts as (

    select * from {{ ref('stg_procurement__contracts') }}

),

invoices as (

    select * from {{ ref('stg_procurement__invoices') }}

),

booked as (

    select
        invoices.invoice_id,
        invoices.contract_reference,
        contracts.end_date < invoices.invoice_date as is_after_contract_end
    from invoices
    left join contracts
        on invoices.contract_reference = contracts.contract_reference

),

unioned as (

    {{ column_checks('booked', 'raw_procurement.apinvoice', 'invoice_id', {
        'contract_ref': ('contract_reference is not null', "case when is_after_contract_end then 'FIN03' end"),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
