with

source as (

    select * from {{ source('raw_mosaic', 'dm_assessments') }}

),

renamed as (

    select
        -- ids
        assessment_id,
        person_id as person_token,
        request_id,

        -- text
        {{ listed(clean_text('assessment_type'), code_list('assessment_type')) }} as assessment_type,
        {{ clean_text('primary_support_reason') }} as primary_support_reason,
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
