with

source as (

    select * from {{ source('raw_dynamics', 'contacts') }}

),

renamed as (

    select
        -- ids
        contactid as contact_token,
        firstname as first_name_token,
        lastname as last_name_token,
        emailaddress1 as email_token,
        telephone1 as telephone_token,
        address as address_token,
        address_premises as address_premises_token,
        address_street as address_street_token,
        address1_postalcode as postcode_token,

        -- text
        firstname_fault as first_name_fault,
        lastname_fault as last_name_fault,
        emailaddress1_fault as email_fault,
        telephone1_fault as telephone_fault,
        address_fault,
        address1_postalcode_fault as postcode_fault,

        -- dates
        modifiedon as updated_at

    from source

)

select * from renamed
