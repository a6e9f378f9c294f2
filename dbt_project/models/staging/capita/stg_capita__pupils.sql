with

source as (

    select * from {{ source('raw_capita', 'pupils') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        upn as upn_token,
        former_upn as former_upn_token,
        postcode as postcode_token,
        {{ listed(clean_code('sex'), code_list('sex')) }} as sex_code,
        {{ clean_code('ethnicity') }} as ethnicity_code,

        -- text
        upn_fault,
        surname_fault,
        forename_fault,
        date_of_birth_fault,
        postcode_fault,

        -- booleans
        coalesce(surname, surname_fault) is not null as has_surname,
        coalesce(forename, forename_fault) is not null as has_forename,
        coalesce(postcode, postcode_fault) is not null as has_postcode,

        -- dates
        date_of_birth_month::date as birth_month

    from source

)

select * from renamed
