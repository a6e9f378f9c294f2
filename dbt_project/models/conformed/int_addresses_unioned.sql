{# a UPRN that breaks a rule does not identify the address #}
{% set known_uprn = 'case when uprn_fault is null then uprn_token end' %}

-- Add the addresses of a new system here.
with

enquiry_customers as (

    select * from {{ ref('stg_confirm__enquiry_customers') }}

),

care_addresses as (

    select * from {{ ref('stg_mosaic__addresses') }}

),

children_addresses as (

    select * from {{ ref('stg_liquidlogic__person_addresses') }}

),

borrowers as (

    select * from {{ ref('stg_koha__borrowers') }}

),

contacts as (

    select
        contacts.*,
        conformed.finding_record_key
    from {{ ref('stg_dynamics__contacts') }} as contacts
    inner join {{ ref('int_contacts_conformed') }} as conformed
        on contacts.contact_token = conformed.contact_token

),

final as (

    {{ address_records('enquiry_customers', 'raw_confirm.enquiry_customer', 'enquiry_number', 'null::text') }}

    union all

    {{ address_records(
        'care_addresses', 'raw_mosaic.dm_addresses', 'ref_addresses_people_id', uprn=known_uprn
    ) }}

    union all

    {{ address_records(
        'children_addresses', 'raw_liquidlogic.dim_person_address', 'person_address_id', uprn=known_uprn
    ) }}

    union all

    {{ address_records('borrowers', 'raw_koha.borrowers', "concat_ws(':', source_file, source_row_number)") }}

    union all

    {{ address_records('contacts', 'raw_dynamics.contacts', 'finding_record_key') }}

)

select * from final
