with

bridge_organisations_suppliers as (

    select * from {{ ref('bridge_organisations_suppliers') }}

),

bridge_organisations_vat_numbers as (

    select * from {{ ref('bridge_organisations_vat_numbers') }}

),

suppliers as (

    select * from {{ ref('stg_procurement__suppliers') }}

),

organisations as (

    select
        organisation_key,
        min(organisation_name_normalised) as organisation_name_normalised,
        string_agg(distinct supplier_id, ', ' order by supplier_id) as supplier_ids,
        count(distinct supplier_id)::integer as supplier_id_count,
        count(distinct supplier_name)::integer as spelling_count,
        bool_or(paid_by_code = 'invoice') as is_paid_by_invoice,
        bool_or(paid_by_code = 'card') as is_paid_by_card,
        min(first_payment_date) as first_payment_date,
        max(last_payment_date) as last_payment_date
    from bridge_organisations_suppliers
    group by organisation_key

),

spellings as (

    select
        organisation_key,
        supplier_name,
        sum(line_count) as line_count,
        max(last_payment_date) as last_payment_date
    from bridge_organisations_suppliers
    where supplier_name is not null
    group by
        organisation_key,
        supplier_name

),

most_used_spellings as (

    select distinct on (organisation_key)
        organisation_key,
        supplier_name
    from spellings
    order by organisation_key asc, line_count desc, last_payment_date desc, supplier_name asc

),

vat_numbers as (

    select
        organisation_key,
        string_agg(vat_number, ', ' order by vat_number) as vat_numbers
    from bridge_organisations_vat_numbers
    group by organisation_key

),

registered as (

    select
        bridge_organisations_suppliers.organisation_key,
        string_agg(distinct suppliers.company_number, ', ' order by suppliers.company_number) as company_numbers,
        string_agg(distinct suppliers.charity_number, ', ' order by suppliers.charity_number) as charity_numbers
    from bridge_organisations_suppliers
    inner join suppliers
        on bridge_organisations_suppliers.supplier_id = suppliers.supplier_id
    group by bridge_organisations_suppliers.organisation_key

),

final as (

    select
        organisations.organisation_key as supplier_key,
        coalesce(
            most_used_spellings.supplier_name, organisations.organisation_name_normalised
        ) as supplier_name,
        organisations.supplier_ids as payee_references,
        organisations.supplier_id_count as payee_reference_count,
        organisations.spelling_count,
        vat_numbers.vat_numbers,
        registered.company_numbers,
        registered.charity_numbers,
        organisations.is_paid_by_invoice,
        organisations.is_paid_by_card,
        organisations.first_payment_date,
        organisations.last_payment_date
    from organisations
    left join most_used_spellings
        on organisations.organisation_key = most_used_spellings.organisation_key
    left join vat_numbers
        on organisations.organisation_key = vat_numbers.organisation_key
    left join registered
        on organisations.organisation_key = registered.organisation_key

    union all

    select
        members.supplier_key,
        members.supplier_name,
        null as payee_references,
        null as payee_reference_count,
        null as spelling_count,
        null as vat_numbers,
        null as company_numbers,
        null as charity_numbers,
        null as is_paid_by_invoice,
        null as is_paid_by_card,
        null as first_payment_date,
        null as last_payment_date
    from (
        values
        ({{ unknown_key() }}, {{ unknown_code() }}),
        ({{ withheld_key() }}, 'Redacted')
    ) as members (supplier_key, supplier_name)

)

select * from final
