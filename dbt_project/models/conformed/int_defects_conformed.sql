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

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

-- defects have no time of change, but enquiries of the same system have; dates that people type do not count
as_at as (

    select max(updated_at) as as_at
    from enquiries

),

-- a completion after the as-at date has not happened, and is a finding
credible as (

    select
        defects.*,
        as_at.as_at,
        {{ local_date('as_at.as_at') }} as as_at_date,
        case
            when {{ local_date('defects.reported_at') }} between '1900-01-01' and {{ local_date('as_at.as_at') }}
                then defects.reported_at
        end as credible_reported_at,
        case
            when {{ local_date('defects.completed_at') }} between '1900-01-01' and {{ local_date('as_at.as_at') }}
                then defects.completed_at
        end as credible_completed_at
    from defects
    cross join as_at

),

conformed as (

    select
        credible.defect_id,
        credible.job_reference,
        credible.enquiry_reference,
        credible.item_category_name,
        credible.defect_type_name,
        credible.item_detail_name,
        credible.instruction_type_name,
        credible.defect_category_name,
        credible.response_time_name,
        credible.usrn,
        credible.credible_reported_at as reported_at,
        credible.required_completion_at,
        credible.credible_completed_at as completed_at,
        dim_streets.street_key,
        coalesce(int_places_located.district_code, dim_streets.district_code) as district_code,
        coalesce(int_places_located.district_name, dim_streets.district_name) as district_name,
        ward_then.ward_code,
        ward_then.ward_name,
        ward_now.ward_code as current_ward_code,
        {{ local_date('credible.credible_reported_at') }} as reported_date,
        {{ local_date('credible.required_completion_at') }} as required_completion_date,
        {{ local_date('credible.credible_completed_at') }} as completed_date,
        credible.as_at,
        credible.as_at_date
    from credible
    left join int_places_located
        on
            credible.easting = int_places_located.easting
            and credible.northing = int_places_located.northing
    left join dim_streets
        on credible.usrn = dim_streets.usrn
    left join bridge_streets_wards as ward_then
        on
            dim_streets.street_key = ward_then.street_key
            and {{ is_in_force('ward_then', local_date('credible.credible_reported_at')) }}
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
        -- a time of midnight is a date without a time
        case
            when
                (reported_at at time zone 'Europe/London')::time <> '00:00'
                and (completed_at at time zone 'Europe/London')::time <> '00:00'
                and completed_at >= reported_at
                then round(extract(epoch from completed_at - reported_at) / 3600, 2)
        end::numeric(10, 2) as completion_hours,
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
