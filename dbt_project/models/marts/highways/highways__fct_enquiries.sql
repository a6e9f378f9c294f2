with

int_enquiries_conformed as (

    select * from {{ ref('int_enquiries_conformed') }}

),

final as (

    select
        enquiry_key,
        enquiry_number,
        enquiry_reference,
        service_code,
        service_name,
        subject_code,
        subject_name,
        status_code,
        status_name,
        channel_code,
        street_key,
        usrn,
        district_code,
        district_name,
        ward_code,
        ward_name,
        current_ward_code,
        reopened_count,
        customer_enquiries_in_year_before,
        first_response_working_days,
        close_working_days,
        age_working_days,
        is_open,
        is_repeat,
        is_responded_before_logged,
        is_closed_before_logged,
        logged_at,
        first_responded_at,
        closed_at,
        logged_date,
        first_responded_date,
        closed_date,
        as_at_date
    from int_enquiries_conformed

)

select * from final
