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
        customer_email as email_token,
        customer_phone as telephone_token,

        -- dates
        last_updated_time as updated_at

    from source

)

select * from renamed
