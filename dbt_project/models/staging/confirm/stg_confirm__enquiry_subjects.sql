with

source as (

    select * from {{ source('raw_confirm', 'enquiry_subject') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('service_code') }} as service_code,
        {{ clean_code('subject_code') }} as subject_code,

        -- text
        {{ clean_text('service_name') }} as service_name,
        {{ clean_text('subject_name') }} as subject_name

    from source

)

select * from renamed
