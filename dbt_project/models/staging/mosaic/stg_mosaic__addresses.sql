with

source as (

    select * from {{ source('raw_mosaic', 'dm_addresses') }}

),

renamed as (

    select
        -- ids
        ref_addresses_people_id,
        person_id as person_token,
        full_address as address_token,
        full_address_premises as address_premises_token,
        full_address_street as address_street_token,
        post_code as postcode_token,
        unique_id as uprn_token,

        -- text
        {{ clean_text('address_type') }} as address_type,
        address_fault,
        post_code_fault as postcode_fault,
        unique_id_fault as uprn_fault,

        -- booleans
        is_contact_address = 'Y' as is_contact_address,
        is_display_address = 'Y' as is_display_address,

        -- dates
        start_date,
        end_date,
        last_updated_on as updated_at

    from source

)

select * from renamed
