with

source as (

    select * from {{ source('raw_liquidlogic', 'fact_single_assessment') }}

),

renamed as (

    select
        -- ids
        fact_single_assessment_id as single_assessment_id,
        fact_referral_id as referral_id,
        dim_person_id as person_token,

        -- booleans
        {{ clean_code('outcome_nfa_flag') }} = 'Y' as is_no_further_action,

        -- dates
        {{ local_date(known_time('start_dttm')) }} as begun_date,
        {{ local_date(known_time('completed_dttm')) }} as completed_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
