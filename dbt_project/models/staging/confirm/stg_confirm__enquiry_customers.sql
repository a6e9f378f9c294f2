with

source as (

    select * from {{ source('raw_confirm', 'enquiry_customer') }}

),

renamed as (

    select
        -- ids
        enquiry_number,
        customer_reference as customer_token,
        customer_name as name_token,
        customer_address as address_token,
        customer_address_premises as address_premises_token,
        customer_address_street as address_street_token,
        customer_email as email_token,
        customer_phone as telephone_token,

        -- text
        customer_name_fault as name_fault,
        customer_address_fault as address_fault,
        customer_email_fault as email_fault,
        customer_phone_fault as telephone_fault,

        -- dates
        last_updated_time as updated_at

    from source

)

select * from renamed
