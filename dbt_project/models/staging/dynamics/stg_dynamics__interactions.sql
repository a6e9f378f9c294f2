with

source as (

    select * from {{ source('raw_dynamics', 'interactions') }}

),

renamed as (

    select
        -- ids
        {{ clean_text('interactionid') }} as interaction_id,
        {{ clean_text('ticketnumber') }} as case_reference,
        customerid as contact_token,

        -- text
        {{ clean_text('contacttype') }} as contact_type,

        -- dates
        {{ known_time('contactedon') }} as contacted_at,
        modifiedon as updated_at

    from source

)

select * from renamed
