with

suppliers as (

    select
        *,
        row_number() over (partition by company_number order by supplier_id) as entry_number
    from {{ ref('stg_procurement__suppliers') }}

),

contracts as (

    select * from {{ ref('stg_procurement__contracts') }}

),

invoices as (

    select
        *,
        {{ local_date('max(updated_at) over ()') }} as as_at_date
    from {{ ref('stg_procurement__invoices') }}

),

booked as (

    select
        invoices.invoice_id,
        invoices.invoice_number,
        invoices.received_date,
        invoices.paid_date,
        invoices.as_at_date,
        invoices.net_amount_gbp > 0 and row_number() over (
            partition by invoices.supplier_id, invoices.invoice_number, invoices.net_amount_gbp
            order by invoices.invoice_id
        ) > 1 as is_entered_before,
        invoices.contract_reference,
        contracts.end_date < invoices.invoice_date as is_after_contract_end
    from invoices
    left join contracts
        on invoices.contract_reference = contracts.contract_reference

),

unioned as (

    {{ column_checks('suppliers', 'raw_procurement.asuheader', 'supplier_id', {
        'comp_reg_no': (
            'company_number_raw is not null',
            "case when company_number is null then 'COM01' when entry_number > 1 then 'SUP01' end"
        ),
        'charity_no': ('charity_number_raw is not null', "case when charity_number is null then 'CHY01' end"),
        'vat_reg_no': ('vat_number_raw is not null', vat_number_fault('vat_number')),
        'utr': 'utr',
    }) }}

    union all

    {{ column_checks('booked', 'raw_procurement.apinvoice', 'invoice_id', {
        'ext_inv_ref': ('invoice_number is not null', "case when is_entered_before then 'FIN04' end"),
        'arrival_date': date_check('received_date'),
        'pay_date': date_check('paid_date'),
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
