with

source as (

    select * from {{ source('matching', 'person_records') }}

),

renamed as (

    select
        -- ids
        system as system_name,
        subject as person_token,
        person_id,

        -- text
        matched_by,

        -- numbers
        match_probability,

        -- dates
        valid_from,
        valid_to

    from source

)

select * from renamed
