with

ledger_lines as (

    select * from {{ ref('stg_erp__ledger_lines') }}

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

    {{ column_checks('ledger_lines', 'raw_erp.ledger_lines', "concat_ws(':', source_file, source_row_number)", {
        'vat_registration_number': (
            'vat_number_raw is not null and not is_redacted', vat_number_fault('vat_number')
        ),
    }) }}

    union all

    {{ column_checks('lines', 'raw_erp.ledger_lines', "concat_ws(':', source_file, source_row_number)", {
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
