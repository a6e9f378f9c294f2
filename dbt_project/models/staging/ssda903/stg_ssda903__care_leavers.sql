with

source as (

    select * from {{ source('raw_ssda903', 'oc3') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        child as child_token,
        dob as birth_date_token,
        {{ clean_code('in_touch') }} as in_touch_code,
        {{ clean_code('activ') }} as activity_code,
        {{ clean_code('accom') }} as accommodation_code,

        -- text
        dob_fault as birth_date_fault,

        -- dates
        dob_month::date as birth_month

    from source

)

select * from renamed
