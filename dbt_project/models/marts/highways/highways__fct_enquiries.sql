with

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

enquiry_statuses as (

    select * from {{ ref('stg_confirm__enquiry_statuses') }}

),

enquiry_subjects as (

    select * from {{ ref('stg_confirm__enquiry_subjects') }}

),

int_enquiry_logs_summarised as (

    select * from {{ ref('int_enquiry_logs_summarised') }}

),

int_enquiry_customers_counted as (

    select * from {{ ref('int_enquiry_customers_counted') }}

),

int_enquiries_repeated as (

    select * from {{ ref('int_enquiries_repeated') }}

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

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

-- the data go up to the latest change in the source
as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from enquiries

),

conformed as (

    select
        enquiries.*,
        enquiry_statuses.status_name,
        enquiry_subjects.service_name,
        enquiry_subjects.subject_name,
        dim_streets.street_key,
        coalesce(int_places_located.district_code, dim_streets.district_code) as district_code,
        coalesce(int_places_located.district_name, dim_streets.district_name) as district_name,
        ward_then.ward_code,
        ward_then.ward_name,
        ward_now.ward_code as current_ward_code,
        coalesce(int_enquiry_logs_summarised.reopened_count, 0) as reopened_count,
        int_enquiry_customers_counted.customer_enquiries_in_year_before,
        coalesce(int_enquiries_repeated.earlier_enquiry_count, 0) as earlier_enquiry_count,
        coalesce(int_enquiry_logs_summarised.is_open, enquiry_statuses.is_outstanding, true) as is_open,
        int_enquiry_logs_summarised.first_responded_at,
        int_enquiry_logs_summarised.closed_at,
        {{ local_date('enquiries.logged_at') }} as logged_date,
        {{ local_date('int_enquiry_logs_summarised.first_responded_at') }} as first_responded_date,
        {{ local_date('int_enquiry_logs_summarised.closed_at') }} as closed_date,
        coalesce(
            {{ is_before('int_enquiry_logs_summarised.closed_at', 'enquiries.logged_at') }}, false
        ) as is_closed_before_logged,
        coalesce(
            {{ is_before('int_enquiry_logs_summarised.first_responded_at', 'enquiries.logged_at') }}, false
        ) as is_responded_before_logged,
        as_at.as_at_date
    from enquiries
    cross join as_at
    left join enquiry_statuses
        on enquiries.status_code = enquiry_statuses.status_code
    left join enquiry_subjects
        on
            enquiries.service_code = enquiry_subjects.service_code
            and enquiries.subject_code = enquiry_subjects.subject_code
    left join int_enquiry_logs_summarised
        on enquiries.enquiry_number = int_enquiry_logs_summarised.enquiry_number
    left join int_enquiry_customers_counted
        on enquiries.enquiry_number = int_enquiry_customers_counted.enquiry_number
    left join int_enquiries_repeated
        on enquiries.enquiry_number = int_enquiries_repeated.enquiry_number
    left join int_places_located
        on
            enquiries.easting = int_places_located.easting
            and enquiries.northing = int_places_located.northing
    left join dim_streets
        on enquiries.usrn = dim_streets.usrn
    left join bridge_streets_wards as ward_then
        on
            dim_streets.street_key = ward_then.street_key
            and {{ is_in_force('ward_then', local_date('enquiries.logged_at')) }}
    left join bridge_streets_wards as ward_now
        on
            dim_streets.street_key = ward_now.street_key
            and ward_now.is_current

),

final as (

    select
        {{ surrogate_key(['conformed.enquiry_number']) }} as enquiry_key,
        conformed.enquiry_number,
        conformed.enquiry_reference,
        conformed.service_code as enquiry_service_code,
        conformed.service_name as enquiry_service_name,
        conformed.subject_code,
        conformed.subject_name,
        conformed.status_code,
        conformed.status_name,
        conformed.channel_code,
        {{ known_or_unknown('conformed.street_key') }} as street_key,
        conformed.usrn,
        conformed.district_code,
        conformed.district_name,
        coalesce(conformed.ward_code, {{ unknown_code() }}) as ward_code,
        conformed.ward_name,
        coalesce(conformed.current_ward_code, {{ unknown_code() }}) as current_ward_code,
        conformed.reopened_count,
        conformed.customer_enquiries_in_year_before,
        case
            when not conformed.is_responded_before_logged
                then responded_on.working_day_number - logged_on.working_day_number
        end as first_response_working_days,
        case
            when not conformed.is_closed_before_logged
                then closed_on.working_day_number - logged_on.working_day_number
        end as close_working_days,
        case
            when conformed.is_open
                then as_at_on.working_day_number - logged_on.working_day_number
        end as age_working_days,
        conformed.is_open,
        -- a repeat is known only for enquiries with a grid reference
        case when conformed.easting is not null then conformed.earlier_enquiry_count > 0 end as is_repeat,
        conformed.is_responded_before_logged,
        conformed.is_closed_before_logged,
        {{ local_time('conformed.logged_at') }} as logged_at,
        {{ local_time('conformed.first_responded_at') }} as first_responded_at,
        {{ local_time('conformed.closed_at') }} as closed_at,
        conformed.logged_date,
        conformed.first_responded_date,
        conformed.closed_date,
        conformed.as_at_date
    from conformed
    left join dim_dates as logged_on
        on conformed.logged_date = logged_on.date_day
    left join dim_dates as responded_on
        on conformed.first_responded_date = responded_on.date_day
    left join dim_dates as closed_on
        on conformed.closed_date = closed_on.date_day
    left join dim_dates as as_at_on
        on conformed.as_at_date = as_at_on.date_day

)

select * from final
