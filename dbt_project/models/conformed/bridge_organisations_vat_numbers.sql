with

bridge_organisations_suppliers as (

    select * from {{ ref('bridge_organisations_suppliers') }}

),

ledger_lines as (

    select * from {{ ref('stg_erp__ledger_lines') }}

),

vat_numbers as (

    select
        {{ surrogate_key(["'invoice'", 'supplier_id', 'supplier_name']) }} as supplier_spelling_key,
        vat_number,
        count(*) as line_count
    from ledger_lines
    where
        not is_redacted
        and vat_number is not null
    group by supplier_id, supplier_name, vat_number

),

final as (

    select
        bridge_organisations_suppliers.organisation_key,
        vat_numbers.vat_number,
        {{ is_vat_number_valid('vat_numbers.vat_number') }} as is_check_digit_valid,
        sum(vat_numbers.line_count)::bigint as line_count
    from vat_numbers
    inner join bridge_organisations_suppliers
        on vat_numbers.supplier_spelling_key = bridge_organisations_suppliers.supplier_spelling_key
    group by
        bridge_organisations_suppliers.organisation_key,
        vat_numbers.vat_number

)

select * from final
