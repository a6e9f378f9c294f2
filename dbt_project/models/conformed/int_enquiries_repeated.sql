with

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

enquiry_subjects as (

    select * from {{ ref('stg_confirm__enquiry_subjects') }}

),

placed as (

    select
        enquiries.enquiry_number,
        enquiry_subjects.subject_name,
        enquiries.easting as x,
        enquiries.northing as y,
        enquiries.logged_at
    from enquiries
    inner join enquiry_subjects
        on
            enquiries.service_code = enquiry_subjects.service_code
            and enquiries.subject_code = enquiry_subjects.subject_code
    where enquiries.easting is not null

),

{{ earlier_nearby('enquiry_number', 'logged_at', ['subject_name']) }},

final as (

    select
        enquiry_number,
        earlier_count as earlier_enquiry_count,
        latest_earlier as latest_earlier_logged_at
    from repeats

)

select * from final
