-- every text of the ledger line is withheld, because any text may identify the payee
select *
from {{ ref('finance__rpt_spend_over_500') }}
where
    'Redacted' in ("BeneficiaryName", "BeneficiaryOtherID", "TransactionNumber")
    and (
        "OrganisationalUnit", "BeneficiaryName", "BeneficiaryOtherID", "TransactionNumber", "Purpose", "ProclassLabel",
        "ProclassCode", "InvoiceNumber", "ProfitCentre", "VATRegistrationNumber"
    ) is distinct from (
        'Redacted', 'Redacted', 'Redacted', 'Redacted', 'Redacted',
        'Redacted', 'Redacted', 'Redacted', 'Redacted', 'Redacted'
    )
