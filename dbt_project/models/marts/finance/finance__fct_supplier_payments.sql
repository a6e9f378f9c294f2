with

ledger_lines as (

    select * from {{ ref('stg_erp__ledger_lines') }}

),

bridge_organisations_suppliers as (

    select * from {{ ref('bridge_organisations_suppliers') }}

),

-- the names of cost centres, which the ledger cuts at 20 characters
budgets as (

    select * from {{ ref('stg_procurement__budgets') }}

),

contracts as (

    select * from {{ ref('stg_procurement__contracts') }}

),

-- contracts are compared with distinct payment days, because there are many lines for each day
days_paid as (

    select distinct
        supplier_id,
        payment_date
    from ledger_lines

),

days_on_contract as (

    select distinct
        days_paid.supplier_id,
        days_paid.payment_date
    from days_paid
    inner join contracts
        on
            days_paid.supplier_id = contracts.supplier_id
            and days_paid.payment_date between contracts.start_date and contracts.end_date

),

final as (

    select
        {{ content_key([
            'ledger_lines.paying_body_uri',
            'ledger_lines.payment_date',
            'ledger_lines.effective_date',
            'ledger_lines.transaction_number',
            'ledger_lines.invoice_number',
            'ledger_lines.supplier_id',
            'ledger_lines.supplier_name',
            'ledger_lines.vat_number_raw',
            'ledger_lines.organisational_unit_name',
            'ledger_lines.cost_centre_code',
            'ledger_lines.proclass_code',
            'ledger_lines.purpose',
            'ledger_lines.net_amount_gbp',
            'ledger_lines.irrecoverable_vat_gbp',
        ]) }} as payment_key,
        case
            when ledger_lines.is_redacted then {{ withheld_key() }}
            else {{ known_or_unknown('bridge_organisations_suppliers.organisation_key') }}
        end as supplier_key,
        {{ surrogate_key(['ledger_lines.paying_body_uri', 'ledger_lines.cost_centre_code']) }} as cost_centre_key,
        -- a line of a withheld payee shows no text: any text may identify the payee
        case
            when ledger_lines.is_redacted then 'Redacted' else ledger_lines.transaction_number
        end as transaction_number,
        case when ledger_lines.is_redacted then 'Redacted' else ledger_lines.invoice_number end as invoice_number,
        case when ledger_lines.is_redacted then 'Redacted' else ledger_lines.supplier_id end as payee_reference,
        case when ledger_lines.is_redacted then 'Redacted' else ledger_lines.supplier_name end as payee_name,
        case when not ledger_lines.is_redacted then ledger_lines.vat_number_raw end as payee_vat_number,
        case
            when ledger_lines.is_redacted then 'Redacted'
            else {{ listed(
                'ledger_lines.organisational_unit_name', 'select left(organisational_unit_name, 20) from budgets'
            ) }}
        end as organisational_unit_name,
        case when ledger_lines.is_redacted then 'Redacted' else ledger_lines.account_name end as account_name,
        case when ledger_lines.is_redacted then 'Redacted' else ledger_lines.proclass_code end as proclass_code,
        case when ledger_lines.is_redacted then 'Redacted' else ledger_lines.proclass_name end as proclass_name,
        ledger_lines.net_amount_gbp,
        ledger_lines.irrecoverable_vat_gbp,
        ledger_lines.net_amount_gbp + ledger_lines.irrecoverable_vat_gbp as gross_amount_gbp,
        ledger_lines.is_redacted,
        ledger_lines.net_amount_gbp < 0 as is_credit_note,
        -- an item of expenditure is an invoice: the lines of a payment document with one payee and invoice number.
        -- Lines to withheld payees are separate items, because one document pays many people.
        abs(sum(ledger_lines.net_amount_gbp) over (
            partition by
                ledger_lines.paying_body_uri,
                ledger_lines.transaction_number,
                coalesce(ledger_lines.supplier_id, ledger_lines.supplier_name),
                ledger_lines.invoice_number,
                case
                    when ledger_lines.is_redacted or ledger_lines.transaction_number is null
                        then ledger_lines.source_file || ' ' || ledger_lines.source_row_number
                end
        )) > 500 as is_over_500,
        case when not ledger_lines.is_redacted then days_on_contract.supplier_id is not null end as is_on_contract,
        ledger_lines.payment_date,
        ledger_lines.effective_date
    from ledger_lines
    left join bridge_organisations_suppliers
        on
            {{ surrogate_key(["'invoice'", 'ledger_lines.supplier_id', 'ledger_lines.supplier_name']) }}
            = bridge_organisations_suppliers.supplier_spelling_key
            and not ledger_lines.is_redacted
    left join days_on_contract
        on
            ledger_lines.supplier_id = days_on_contract.supplier_id
            and ledger_lines.payment_date = days_on_contract.payment_date

)

select * from final
