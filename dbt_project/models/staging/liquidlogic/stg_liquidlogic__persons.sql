with

source as (

    select * from {{ source('raw_liquidlogic', 'dim_person') }}

),

renamed as (

    select
        -- ids
        dim_person_id as person_token,
        nhs_number as nhs_number_token,
        upn as upn_token,
        forename as forename_token,
        surname as surname_token,
        {{ listed(clean_code('gender_main_code'), code_list('sex')) }} as sex_code,
        birth_dttm as birth_date_token,
        {{ clean_code('ethnicity_main_code') }} as ethnicity_code,

        -- text
        nhs_number_fault,
        upn_fault,
        forename_fault,
        surname_fault,
        birth_dttm_fault as birth_date_fault,

        -- booleans
        {{ clean_code('dob_estimated') }} = 'Y' as is_birth_date_estimated,

        -- dates
        birth_dttm_month::date as birth_month,
        {{ known_time('death_dttm') }} as death_date,
        duplicated_dttm as merged_at,
        updated_dttm as updated_at

    from source

)

select * from renamed
