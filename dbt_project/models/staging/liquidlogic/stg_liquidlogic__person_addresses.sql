with

source as (

    select * from {{ source('raw_liquidlogic', 'dim_person_address') }}

),

renamed as (

    select
        -- ids
        dim_person_address_id as person_address_id,
        dim_person_id as person_token,
        {{ clean_code('addss_type_code') }} as address_type_code,
        address as address_token,
        address_premises as address_premises_token,
        address_street as address_street_token,
        postcode as postcode_token,
        uprn as uprn_token,

        -- text
        address_fault,
        postcode_fault,
        uprn_fault,

        -- dates
        {{ local_date(known_time('start_dttm')) }} as started_date,
        {{ local_date(known_time('end_dttm')) }} as ended_date,
        updated_dttm as updated_at

    from source

)

select * from renamed
