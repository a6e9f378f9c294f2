with

highways__fct_enquiries as (

    select * from {{ ref('highways__fct_enquiries') }}

),

final as (

    select
        coalesce(district_name, 'Not located') as "District",
        coalesce(enquiry_service_name, 'Not known') as "Service",
        count(*) as "Open enquiries",
        avg(age_working_days)::numeric(9, 1) as "Mean age in working days",
        (
            percentile_cont(0.5) within group (order by age_working_days)
        )::numeric(9, 1) as "Median age in working days",
        max(age_working_days) as "Greatest age in working days",
        min(logged_date) as "Oldest logged on",
        max(as_at_date) as "As at"
    from highways__fct_enquiries
    where is_open
    group by
        coalesce(district_name, 'Not located'),
        coalesce(enquiry_service_name, 'Not known')

)

select * from final
