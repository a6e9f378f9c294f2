with

source as (

    select * from {{ source('raw_liquidlogic', 'fact_care_episodes') }}

),

renamed as (

    select
        -- ids
        fact_care_episodes_id as care_episode_id,
        fact_cla_id as cla_id,
        dim_person_id as person_token,
        {{ clean_code('care_reason_code') }} as begin_reason_code,
        {{ clean_code('care_reason_end_code') }} as end_reason_code,
        {{ clean_code('cin_903_code') }} as need_code,
        {{ clean_code('ls_903_code') }} as legal_status_code,
        {{ clean_code('place_903_code') }} as placement_code,
        {{ clean_code('place_provider_903_code') }} as placement_provider_code,

        -- dates
        {{ known_time('care_start_date') }} as began_date,
        {{ known_time('care_end_date') }} as ended_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
