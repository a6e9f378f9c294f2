with

staged as (

    select
        'Request' as event_type,
        count(*) as event_count,
        min(request_date) as first_date
    from {{ ref('stg_mosaic__requests') }}
    union all
    select
        'Assessment' as event_type,
        count(*) as event_count,
        min(start_date) as first_date
    from {{ ref('stg_mosaic__assessments') }}
    union all
    select
        'Service' as event_type,
        count(*) as event_count,
        min(start_date) as first_date
    from {{ ref('stg_mosaic__services') }}
    union all
    select
        'Review' as event_type,
        count(*) as event_count,
        min(start_date) as first_date
    from {{ ref('stg_mosaic__reviews') }}

),

published as (

    select
        event_type,
        count(*) as event_count,
        min(event_start_date) as first_date
    from {{ ref('adult_care__fct_care_events') }}
    group by event_type

)

select
    staged.*,
    published.event_count as published_count
from staged
full join published
    on staged.event_type = published.event_type
where
    staged.event_count <> coalesce(published.event_count, 0)
    or staged.first_date is distinct from published.first_date
