with

ledger_lines as (

    select * from {{ ref('stg_erp__ledger_lines') }}

),

unioned as (

    {{ column_checks('ledger_lines', 'raw_erp.ledger_lines', "concat_ws(':', source_file, source_row_number)", {
        'vat_registration_number': (
            'vat_number_raw is not null and not is_redacted',
            "case when vat_number is null then 'VAT01' when not " ~ is_vat_number_valid('vat_number') ~ " then 'VAT02' end"
        ),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
