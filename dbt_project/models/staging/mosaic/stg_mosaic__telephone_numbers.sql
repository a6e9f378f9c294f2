with

source as (

    select * from {{ source('raw_mosaic', 'dm_telephone_numbers') }}

),

renamed as (

    select
        -- ids
        telephone_number_id,
        person_id as person_token,
        telephone_number as telephone_token,

        -- text
        {{ clean_text('telephone_number_type') }} as telephone_number_type,
        telephone_number_fault as telephone_fault,

        -- dates
        last_updated_on as updated_at

    from source

)

select * from renamed
