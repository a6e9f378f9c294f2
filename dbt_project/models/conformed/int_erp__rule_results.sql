{% set file_row = "concat_ws(':', source_file, source_row_number)" %}

with

ledger_lines as (

    select * from {{ ref('stg_erp__ledger_lines') }}

),

budgets as (

    select * from {{ ref('stg_procurement__budgets') }}

),

card_transactions as (

    select * from {{ ref('stg_erp__card_transactions') }}

),

invoices as (

    select distinct
        supplier_id,
        invoice_number,
        net_amount_gbp
    from ledger_lines
    where not is_redacted

),

-- a duplicate has the number of another invoice followed by a letter, from the same supplier for the same amount
lines as (

    select
        ledger_lines.source_file,
        ledger_lines.source_row_number,
        ledger_lines.invoice_number,
        ledger_lines.effective_date,
        date_trunc('month', ledger_lines.effective_date) <> date_trunc('month', ledger_lines.payment_date)
            as is_posted_elsewhere,
        invoices.invoice_number is not null as is_double
    from ledger_lines
    left join invoices
        on
            ledger_lines.supplier_id = invoices.supplier_id
            and ledger_lines.net_amount_gbp = invoices.net_amount_gbp
            and substring(ledger_lines.invoice_number from '^(.*[0-9])[A-Z]$') = invoices.invoice_number
            and not ledger_lines.is_redacted

),

unioned as (

    {{ column_checks('ledger_lines', 'raw_erp.ledger_lines', file_row, {
        'vat_registration_number': (
            'vat_number_raw is not null and not is_redacted', vat_number_fault('vat_number')
        ),
        'purpose': ('account_name is not null', listed_fault('account_name')),
        'organisational_unit': (
            'organisational_unit_name is not null and not is_redacted',
            listed_fault(listed('organisational_unit_name', 'select left(organisational_unit_name, 20) from budgets'))
        ),
    }) }}

    union all

    {{ column_checks('card_transactions', 'raw_erp.card_transactions', file_row, {
        'purpose': ('account_name is not null', listed_fault('account_name')),
    }) }}

    union all

    {{ column_checks('lines', 'raw_erp.ledger_lines', file_row, {
        'invoice_number': ('invoice_number is not null', "case when is_double then 'FIN01' end"),
        'effective_date': ('effective_date is not null', "case when is_posted_elsewhere then 'FIN02' end"),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
