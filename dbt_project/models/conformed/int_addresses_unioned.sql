-- The addresses of every system; a new system's are added here.
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

final as (

    select
        'raw_confirm.enquiry_customer' as raw_table,
        enquiry_number::text as record_key,
        address_token,
        address_premises_token,
        address_street_token,
        null::text as postcode_token
    from enquiry_customers
    where address_token is not null

    union all

    select
        'raw_mosaic.dm_addresses' as raw_table,
        ref_addresses_people_id::text as record_key,
        address_token,
        address_premises_token,
        address_street_token,
        postcode_token
    from care_addresses
    where address_token is not null

    union all

    select
        'raw_liquidlogic.dim_person_address' as raw_table,
        person_address_id::text as record_key,
        address_token,
        address_premises_token,
        address_street_token,
        postcode_token
    from children_addresses
    where address_token is not null

    union all

    select
        'raw_koha.borrowers' as raw_table,
        concat_ws(':', source_file, source_row_number) as record_key,
        address_token,
        address_premises_token,
        address_street_token,
        postcode_token
    from borrowers
    where address_token is not null

)

select * from final
