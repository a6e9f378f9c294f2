with

report as (

    select
        coalesce(sum("Open enquiries"), 0) as enquiry_count,
        min("Oldest logged on") as oldest_date
    from {{ ref('highways__rpt_open_enquiries_by_district') }}

),

enquiries as (

    select
        count(*) as enquiry_count,
        min(logged_date) as oldest_date
    from {{ ref('highways__fct_enquiries') }}
    where closed_date is null

)

select *
from report
except
select *
from enquiries
