with

source as (

    select * from {{ source('raw_liquidlogic', 'fact_involvements') }}

),

renamed as (

    select
        -- ids
        fact_involvements_id as involvement_id,
        fact_referral_id as referral_id,
        dim_person_id as person_token,
        dim_worker_id as worker_token,
        {{ clean_code('dim_lookup_involvement_type_code') }} as involvement_type_code,

        -- booleans
        {{ clean_code('is_allocated_cw_flag') }} = 'Y' as is_allocated_case_worker,

        -- dates
        {{ local_date(known_time('start_dttm')) }} as began_date,
        {{ local_date(known_time('end_dttm')) }} as ended_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
