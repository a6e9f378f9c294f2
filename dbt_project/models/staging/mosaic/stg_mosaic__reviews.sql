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
        {{ listed(clean_text('review_reason'), code_list('review_reason')) }} as review_reason,
        {{ listed(clean_text('outcome'), code_list('care_outcome')) }} as outcome,

        -- numbers
        age_years::integer as age_years,

        -- dates
        start_date,
        end_date,
        last_updated_on as updated_at

    from source

)

select * from renamed
