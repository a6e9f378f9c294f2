with

source as (

    select * from {{ source('raw_ssda903', 'oc2') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        child as child_token,
        dob as birth_date_token,
        {{ clean_code('sdq_reason') }} as sdq_reason_code,

        -- text
        dob_fault as birth_date_fault,

        -- numbers
        sdq_score,

        -- booleans
        convicted as is_convicted,
        health_check as is_health_check_done,
        immunisations as is_immunised,
        teeth_check as is_teeth_check_done,
        health_assessment as is_health_assessed,
        substance_misuse as is_misusing_substances,
        intervention_received as is_help_received,
        intervention_offered as is_help_offered,

        -- dates
        dob_month::date as birth_month

    from source

)

select * from renamed
