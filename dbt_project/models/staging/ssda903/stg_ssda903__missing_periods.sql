with

source as (

    select * from {{ source('raw_ssda903', 'missing') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        child as child_token,
        dob as birth_date_token,
        {{ clean_code('missing') }} as missing_code,

        -- text
        dob_fault as birth_date_fault,

        -- dates
        dob_month::date as birth_month,
        mis_start as began_date,
        mis_end as ended_date

    from source

)

select * from renamed
