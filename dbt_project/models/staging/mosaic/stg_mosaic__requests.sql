with

source as (

    select * from {{ source('raw_mosaic', 'dm_requests') }}

),

renamed as (

    select
        -- ids
        request_id,
        person_id as person_token,

        -- text
        {{ clean_text('route_of_access') }} as route_of_access,
        {{ clean_text('primary_support_reason') }} as primary_support_reason,
        {{ clean_text('outcome') }} as outcome,

        -- dates
        request_date,
        outcome_date,
        last_updated_on as updated_at

    from source

)

select * from renamed
