with

source as (

    select * from {{ source('raw_liquidlogic', 'fact_cp_plan') }}

),

renamed as (

    select
        -- ids
        fact_cp_plan_id as cp_plan_id,
        fact_referral_id as referral_id,
        dim_person_id as person_token,

        -- text
        {{ listed(clean_text('init_category_desc'), code_list('abuse_category')) }} as initial_category_name,
        {{ listed(clean_text('cp_category_desc'), code_list('abuse_category')) }} as latest_category_name,

        -- numbers
        age_years::integer as age_years,

        -- dates
        {{ local_date(known_time('start_dttm')) }} as began_date,
        {{ local_date(known_time('end_dttm')) }} as ended_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
