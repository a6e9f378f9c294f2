with

persons as (

    select * from {{ ref('stg_mosaic__persons') }}

),

requests as (

    select * from {{ ref('stg_mosaic__requests') }}

),

assessments as (

    select * from {{ ref('stg_mosaic__assessments') }}

),

services as (

    select * from {{ ref('stg_mosaic__services') }}

),

reviews as (

    select * from {{ ref('stg_mosaic__reviews') }}

),

updates as (

    select updated_at from persons
    union all
    select updated_at from requests
    union all
    select updated_at from assessments
    union all
    select updated_at from services
    union all
    select updated_at from reviews

),

-- the as-at date is the date of the latest change in the source
final as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from updates

)

select * from final
