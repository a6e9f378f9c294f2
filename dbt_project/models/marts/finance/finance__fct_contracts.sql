with

int_contracts_conformed as (

    select * from {{ ref('int_contracts_conformed') }}

),

final as (

    select
        contract_key,
        contract_reference,
        contract_title,
        department_name,
        organisation_key as supplier_key,
        payee_reference,
        payee_name,
        cpv_code,
        procedure_name,
        annual_value_gbp,
        total_value_gbp,
        invoiced_gbp,
        is_sme,
        is_vcse,
        is_in_force,
        is_review_due,
        start_date,
        end_date,
        review_date,
        last_invoice_date,
        as_at_date
    from int_contracts_conformed

)

select * from final
