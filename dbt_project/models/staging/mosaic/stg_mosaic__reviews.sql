with

source as (

    select * from {{ source('raw_mosaic', 'dm_reviews') }}

),

renamed as (

    select
        -- ids
        review_id,
        person_id as person_token,
        service_id,

        -- text
        {{ clean_text('review_reason') }} as review_reason,
        {{ clean_text('outcome') }} as outcome,

        -- dates
        start_date,
        end_date,
        last_updated_on as updated_at

    from source

)

select * from renamed
