with

source as (

    select * from {{ source('raw_open311', 'service_requests') }}

),

renamed as (

    select
        -- ids
        service_request_id,
        {{ clean_code('service_code') }} as service_code,

        -- text
        {{ clean_text('service_name') }} as service_name,
        lower({{ clean_text('status') }}) as status_name,
        description,

        -- numbers
        {{ known_coordinate('lat', 'long') }} as latitude,
        {{ known_coordinate('long', 'lat') }} as longitude,

        -- dates
        requested_datetime as requested_at,
        updated_datetime as updated_at

    from source

)

select * from renamed
