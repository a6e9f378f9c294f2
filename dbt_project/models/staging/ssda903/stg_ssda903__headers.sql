with

source as (

    select * from {{ source('raw_ssda903', 'header') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        child as child_token,
        {{ clean_code('sex') }} as sex_code,
        dob as birth_date_token,
        {{ clean_code('ethnic') }} as ethnicity_code,
        upn as upn_token,

        -- text
        dob_fault as birth_date_fault,
        upn_fault,

        -- dates
        dob_month::date as birth_month

    from source

)

select * from renamed
