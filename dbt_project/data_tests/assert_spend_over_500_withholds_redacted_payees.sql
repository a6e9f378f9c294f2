select *
from {{ ref('finance__rpt_spend_over_500') }}
where
    "BeneficiaryName" ~* 'redacted'
    and not (
        "BeneficiaryName" = 'Redacted'
        and "BeneficiaryOtherID" = 'Redacted'
        and "InvoiceNumber" = 'Redacted'
        and "VATRegistrationNumber" = 'Redacted'
    )
