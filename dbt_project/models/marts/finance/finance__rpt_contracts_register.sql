with

finance__fct_contracts as (

    select * from {{ ref('finance__fct_contracts') }}

),

final as (

    select
        contract_reference as "Reference",
        contract_title as "Title",
        department_name as "Department",
        payee_name as "Supplier",
        payee_reference as "Supplier number",
        cpv_code as "CPV code",
        procedure_name as "Procedure",
        start_date as "Start date",
        end_date as "End date",
        review_date as "Review date",
        annual_value_gbp as "Annual value GBP",
        total_value_gbp as "Total value GBP",
        case when is_sme then 'Yes' else 'No' end as "SME",
        case when is_vcse then 'Yes' else 'No' end as "VCSE",
        case when is_review_due then 'Yes' else 'No' end as "Review due"
    from finance__fct_contracts
    where total_value_gbp > 5000 and end_date >= as_at_date

)

select * from final
