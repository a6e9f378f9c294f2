with

source as (

    select * from {{ source('raw_capita', 'attendance') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        upn as upn_token,
        {{ clean_code('urn') }} as urn,
        upper({{ clean_text('session_code') }}) as session_code,

        -- numbers
        sessions::integer as session_count,

        -- dates
        week_commencing as week_start_date

    from source

)

select * from renamed
