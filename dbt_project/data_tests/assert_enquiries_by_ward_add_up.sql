with

report as (

    select
        coalesce(sum("Open enquiries"), 0) as open_count,
        coalesce(sum("Enquiries in the last year"), 0) as year_count
    from {{ ref('highways__rpt_enquiries_by_ward') }}

),

enquiries as (

    select
        count(*) filter (where closed_date is null) as open_count,
        count(*) filter (where logged_date > as_at_date - interval '1 year') as year_count
    from {{ ref('highways__fct_enquiries') }}

)

select *
from report
except
select *
from enquiries
