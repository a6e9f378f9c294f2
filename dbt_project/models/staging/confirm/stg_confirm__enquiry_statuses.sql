with

source as (

    select * from {{ source('raw_confirm', 'enquiry_status') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('enquiry_status_code') }} as status_code,

        -- text
        {{ clean_text('enquiry_status_name') }} as status_name,

        -- booleans
        upper({{ clean_text('outstanding_flag') }}) = 'Y' as is_outstanding

    from source

)

select * from renamed
