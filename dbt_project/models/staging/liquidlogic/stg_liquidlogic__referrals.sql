with

source as (

    select * from {{ source('raw_liquidlogic', 'fact_referrals') }}

),

renamed as (

    select
        -- ids
        fact_referral_id as referral_id,
        dim_person_id as person_token,
        {{ listed(clean_code('dim_lookup_category_of_need_code'), code_list('cin_need')) }} as need_code,
        {{ listed(
            clean_code('dim_lookup_refrl_endrsn_id_code'),
            'select closure_reason_code from ' ~ ref('referral_closure_reasons')
        ) }} as closure_reason_code,
        dim_worker_id as worker_token,

        -- numbers
        age_years::integer as age_years,

        -- booleans
        {{ clean_code('outcome_nfa_flag') }} = 'Y' as is_no_further_action,

        -- dates
        {{ local_date(known_time('refrl_start_dttm')) }} as referred_date,
        {{ local_date(known_time('refrl_end_dttm')) }} as closed_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
