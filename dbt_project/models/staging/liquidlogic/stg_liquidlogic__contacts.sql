with

source as (

    select * from {{ source('raw_liquidlogic', 'fact_contacts') }}

),

renamed as (

    select
        -- ids
        fact_contact_id as contact_id,
        dim_person_id as person_token,

        -- text
        {{ clean_text('dim_lookup_cont_sorc_id_desc') }} as contact_source_name,

        -- booleans
        {{ clean_code('outcome_new_referral_flag') }} = 'Y' as is_new_referral,
        {{ clean_code('outcome_existing_referral_flag') }} = 'Y' as is_existing_referral,
        {{ clean_code('outcome_nfa_flag') }} = 'Y' as is_no_further_action,

        -- dates
        {{ local_date(known_time('contact_dttm')) }} as contacted_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
