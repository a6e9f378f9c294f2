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
        {{ listed(clean_code('care_reason_code'), code_list('RNE', 'ssda903_codes')) }}
            as begin_reason_code,
        {{ listed(clean_code('care_reason_end_code'), code_list('REC', 'ssda903_codes')) }}
            as end_reason_code,
        {{ listed(clean_code('cin_903_code'), code_list('CIN', 'ssda903_codes')) }} as need_code,
        {{ listed(clean_code('ls_903_code'), code_list('LS', 'ssda903_codes')) }}
            as legal_status_code,
        {{ listed(clean_code('place_903_code'), code_list('PLACE', 'ssda903_codes')) }}
            as placement_code,
        {{ listed(clean_code('place_provider_903_code'), code_list('PLACE_PROVIDER', 'ssda903_codes')) }}
            as placement_provider_code,

        -- numbers
        age_years::integer as age_years,

        -- dates
        {{ known_time('care_start_date') }} as began_date,
        {{ known_time('care_end_date') }} as ended_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
