with

source as (

    select * from {{ source('raw_liquidlogic', 'fact_cla') }}

),

renamed as (

    select
        -- ids
        fact_cla_id as cla_id,
        fact_referral_id as referral_id,
        dim_person_id as person_token,

        -- dates
        {{ local_date(known_time('start_dttm')) }} as began_date,
        {{ local_date(known_time('end_dttm')) }} as ended_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
