with

defects as (

    select * from {{ ref('stg_confirm__defects') }}

),

int_places_located as (

    select * from {{ ref('int_places_located') }}

),

dim_streets as (

    select * from {{ ref('dim_streets') }}

),

bridge_streets_wards as (

    select * from {{ ref('bridge_streets_wards') }}

),

-- the as-at time is the time of the latest report or completion in the source
as_at as (

    select greatest(max(reported_at), max(completed_at)) as as_at
    from defects

),

conformed as (

    select
        defects.*,
        dim_streets.street_key,
        coalesce(int_places_located.district_code, dim_streets.district_code) as district_code,
        coalesce(int_places_located.district_name, dim_streets.district_name) as district_name,
        ward_then.ward_code,
        ward_then.ward_name,
        ward_now.ward_code as current_ward_code,
        {{ local_date('defects.reported_at') }} as reported_date,
        {{ local_date('defects.required_completion_at') }} as required_completion_date,
        {{ local_date('defects.completed_at') }} as completed_date,
        as_at.as_at,
        {{ local_date('as_at.as_at') }} as as_at_date
    from defects
    cross join as_at
    left join int_places_located
        on
            defects.easting = int_places_located.easting
            and defects.northing = int_places_located.northing
    left join dim_streets
        on defects.usrn = dim_streets.usrn
    left join bridge_streets_wards as ward_then
        on
            dim_streets.street_key = ward_then.street_key
            and {{ is_in_force('ward_then', local_date('defects.reported_at')) }}
    left join bridge_streets_wards as ward_now
        on
            dim_streets.street_key = ward_now.street_key
            and ward_now.is_current

),

final as (

    select
        {{ surrogate_key(['defect_id']) }} as defect_key,
        job_reference,
        enquiry_reference,
        item_category_name,
        defect_type_name,
        item_detail_name,
        instruction_type_name,
        defect_category_name,
        response_time_name,
        street_key,
        usrn,
        district_code,
        district_name,
        ward_code,
        ward_name,
        current_ward_code,
        required_completion_date - reported_date as allowed_days,
        completed_date - reported_date as completion_days,
        completed_at is not null as is_completed,
        -- an open defect is late once its time is over, and neither in time nor late before
        case
            when completed_at is not null then not {{ is_before('required_completion_at', 'completed_at') }}
            when {{ is_before('required_completion_at', 'as_at') }} then false
        end as is_completed_in_time,
        coalesce({{ is_before('completed_at', 'reported_at') }}, false) as is_completed_before_reported,
        reported_at,
        required_completion_at,
        completed_at,
        reported_date,
        required_completion_date,
        completed_date,
        as_at_date
    from conformed

)

select * from final
