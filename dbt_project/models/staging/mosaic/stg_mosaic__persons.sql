with

source as (

    select * from {{ source('raw_mosaic', 'dm_persons') }}

),

renamed as (

    select
        -- ids
        person_id as person_token,
        nhs_id as nhs_number_token,
        full_name as full_name_token,
        first_name as first_name_token,
        last_name as last_name_token,
        date_of_birth as date_of_birth_token,
        email_address as email_token,
        {{ clean_code('full_ethnicity_code') }} as full_ethnicity_code,

        -- text
        {{ listed(clean_code('gender'), code_list('sex')) }} as gender_code,
        nhs_id_fault as nhs_number_fault,
        full_name_fault,
        first_name_fault,
        last_name_fault,
        date_of_birth_fault,
        email_address_fault as email_fault,

        -- booleans
        coalesce(upper({{ clean_text('restricted') }}) <> 'N', true) as is_restricted,

        -- dates
        date_of_birth_month::date as birth_month,
        date_of_death,
        created_on as registered_date,
        last_updated_on as updated_at

    from source

)

select * from renamed
