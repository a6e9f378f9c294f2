with

source as (

    select * from {{ source('raw_confirm', 'enquiry_status_log') }}

),

renamed as (

    select
        -- ids
        enquiry_number,
        enquiry_log_number as log_number,
        {{ clean_code('enquiry_status_code') }} as status_code,

        -- text
        status_log_notes,

        -- dates
        {{ known_time('logged_time') }} as logged_at,
        {{ known_time('effective_time') }} as effective_at

    from source

)

select * from renamed
