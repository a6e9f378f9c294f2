with

source as (

    select * from {{ source('raw_confirm', 'central_enquiry') }}

),

renamed as (

    select
        -- ids
        enquiry_number,
        {{ clean_text('enquiry_reference') }} as enquiry_reference,
        enquiry_log_number as latest_log_number,
        {{ clean_code('service_code') }} as service_code,
        {{ clean_code('subject_code') }} as subject_code,
        {{ clean_code('enquiry_status_code') }} as status_code,
        {{ clean_code('enquiry_method_code') }} as channel_code,
        {{ clean_code('point_of_contact_code') }} as point_of_contact_code,
        {{ clean_code('customer_type_code') }} as customer_type_code,
        {{ usrn('site_code') }} as usrn,
        site_code as usrn_raw,

        -- text
        enquiry_description,

        -- numbers
        {{ known_coordinate('enquiry_x', 'enquiry_y') }} as easting,
        {{ known_coordinate('enquiry_y', 'enquiry_x') }} as northing,
        enquiry_x as easting_raw,

        -- dates
        {{ known_time('enquiry_log_time') }} as logged_at,
        last_updated_time as updated_at

    from source

)

select * from renamed
