with

finance__fct_supplier_payments as (

    select * from {{ ref('finance__fct_supplier_payments') }}

),

finance__dim_cost_centres as (

    select * from {{ ref('finance__dim_cost_centres') }}

),

final as (

    select
        finance__dim_cost_centres.paying_body_name as "OrganisationLabel",
        finance__dim_cost_centres.paying_body_uri as "OrganisationURI",
        finance__fct_supplier_payments.effective_date as "EffectiveDate",
        coalesce(finance__fct_supplier_payments.organisational_unit_name, 'NA') as "OrganisationalUnit",
        finance__fct_supplier_payments.payee_name as "BeneficiaryName",
        finance__fct_supplier_payments.payee_reference as "BeneficiaryOtherID",
        finance__fct_supplier_payments.payment_date as "PaymentDate",
        finance__fct_supplier_payments.transaction_number as "TransactionNumber",
        finance__fct_supplier_payments.net_amount_gbp as "Amount",
        finance__fct_supplier_payments.irrecoverable_vat_gbp as "IrrecoverableVATAmount",
        coalesce(finance__fct_supplier_payments.account_name, 'NA') as "Purpose",
        coalesce(finance__fct_supplier_payments.proclass_name, 'NA') as "ProclassLabel",
        coalesce(finance__fct_supplier_payments.proclass_code, 'NA') as "ProclassCode",
        coalesce(finance__fct_supplier_payments.invoice_number, 'NA') as "InvoiceNumber",
        case
            when finance__fct_supplier_payments.is_redacted then 'Redacted'
            else coalesce(finance__dim_cost_centres.cost_centre_code, 'NA')
        end as "ProfitCentre",
        case
            when finance__fct_supplier_payments.is_redacted then 'Redacted'
            else coalesce(finance__fct_supplier_payments.payee_vat_number, 'NA')
        end as "VATRegistrationNumber"
    from finance__fct_supplier_payments
    left join finance__dim_cost_centres
        on finance__fct_supplier_payments.cost_centre_key = finance__dim_cost_centres.cost_centre_key
    where finance__fct_supplier_payments.is_over_500

)

select * from final
