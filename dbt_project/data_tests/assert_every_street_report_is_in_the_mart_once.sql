with

reports as (

    select report_number as report_reference
    from {{ ref('stg_fixmystreet__reports') }}
    union all
    select service_request_id as report_reference
    from {{ ref('stg_open311__service_requests') }}

),

mart as (

    select report_reference
    from {{ ref('highways__fct_street_reports') }}

)

(
    select report_reference
    from reports
    except all
    select report_reference
    from mart
)
union all
(
    select report_reference
    from mart
    except all
    select report_reference
    from reports
)
