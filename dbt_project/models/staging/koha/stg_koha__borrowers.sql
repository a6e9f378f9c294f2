with

source as (

    select * from {{ source('raw_koha', 'borrowers') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        borrowernumber as borrower_token,
        home_address as address_token,
        home_address_premises as address_premises_token,
        home_address_street as address_street_token,
        zipcode as postcode_token,
        {{ clean_code('branchcode') }} as branch_code,
        {{ clean_code('categorycode') }} as category_code,

        -- text
        surname_fault,
        firstname_fault as forename_fault,
        dateofbirth_fault as date_of_birth_fault,
        home_address_fault as address_fault,
        zipcode_fault as postcode_fault,
        email_fault,
        phone_fault as telephone_fault,

        -- booleans
        coalesce(surname, surname_fault) is not null as has_surname,
        coalesce(firstname, firstname_fault) is not null as has_forename,
        coalesce(home_address, home_address_fault) is not null as has_address,
        coalesce(zipcode, zipcode_fault) is not null as has_postcode,
        coalesce(email, email_fault) is not null as has_email,
        coalesce(phone, phone_fault) is not null as has_telephone,
        lower({{ clean_text('debarredcomment') }}) = 'deceased' as is_deceased,

        -- dates
        dateofbirth_month::date as birth_month,
        dateenrolled as enrolled_date,
        dateexpiry as expiry_date,
        debarred as barred_date

    from source

)

select * from renamed
