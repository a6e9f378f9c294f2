with

dim_organisations as (

    select * from {{ ref('dim_organisations') }}

),

final as (

    select
        organisation_key as supplier_key,
        organisation_name as supplier_name,
        supplier_ids as payee_references,
        supplier_id_count as payee_reference_count,
        spelling_count,
        vat_numbers,
        company_numbers,
        charity_numbers,
        is_paid_by_invoice,
        is_paid_by_card,
        first_payment_date,
        last_payment_date
    from dim_organisations

)

select * from final
