with

source as (

    select * from {{ source('raw_capita', 'enrolments') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        upn as upn_token,
        {{ clean_code('urn') }} as urn,
        {{ clean_code('laestab') }} as laestab,

        -- numbers
        nc_year::integer as nc_year,

        -- dates
        entry_date,
        leaving_date

    from source

)

select * from renamed
