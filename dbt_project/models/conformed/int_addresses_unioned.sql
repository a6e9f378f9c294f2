-- The addresses of every system; a new system's are added here.
with

enquiry_customers as (

    select * from {{ ref('stg_confirm__enquiry_customers') }}

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

)

select * from final
