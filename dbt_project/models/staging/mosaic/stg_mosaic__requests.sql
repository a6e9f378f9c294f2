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
        {{ listed(clean_text('route_of_access'), code_list('route_of_access')) }} as route_of_access,
        {{ clean_text('primary_support_reason') }} as primary_support_reason,
        {{ listed(clean_text('outcome'), code_list('care_outcome')) }} as outcome,

        -- numbers
        age_years::integer as age_years,

        -- dates
        request_date,
        outcome_date,
        last_updated_on as updated_at

    from source

)

select * from renamed
