with

int_defects_conformed as (

    select * from {{ ref('int_defects_conformed') }}

),

final as (

    select
        defect_key,
        job_reference,
        enquiry_reference,
        item_category_name,
        defect_type_name,
        item_detail_name,
        instruction_type_name,
        defect_category_name,
        response_time_name,
        {{ known_or_unknown('street_key') }} as street_key,
        usrn,
        district_code,
        district_name,
        coalesce(ward_code, {{ unknown_code() }}) as ward_code,
        ward_name,
        coalesce(current_ward_code, {{ unknown_code() }}) as current_ward_code,
        allowed_days,
        completion_days,
        completion_hours,
        is_completed,
        is_completed_in_time,
        is_completed_before_reported,
        {{ local_time('reported_at') }} as reported_at,
        {{ local_time('required_completion_at') }} as required_completion_at,
        {{ local_time('completed_at') }} as completed_at,
        reported_date,
        required_completion_date,
        completed_date,
        as_at_date
    from int_defects_conformed

)

select * from final
