with

incidents as (

    select * from {{ ref('stg_dynamics__incidents') }}

),

interactions as (

    select * from {{ ref('stg_dynamics__interactions') }}

),

int_contacts_conformed as (

    select * from {{ ref('int_contacts_conformed') }}

),

contact_channels as (

    select * from {{ ref('contact_channels') }}

),

case_types as (

    select * from {{ ref('case_types') }}

),

service_source_values as (

    select * from {{ ref('service_source_values') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

contacts_counted as (

    select
        case_reference,
        count(*) as contact_count
    from interactions
    group by case_reference

),

-- the as-at time is the time of the latest change in the source
as_at as (

    select max(updated_at) as as_at
    from incidents

),

described as (

    select
        incidents.*,
        case_types.case_type_name,
        case_types.service_level_hours,
        service_source_values.service_code,
        contact_channels.channel_code,
        contact_channels.channel_name,
        int_contacts_conformed.district_code,
        int_contacts_conformed.district_name,
        coalesce(contacts_counted.contact_count, 0)::integer as contact_count,
        incidents.state_name = 'Active' as is_open,
        coalesce(incidents.closed_at < incidents.created_at, false) as is_closed_before_created,
        {{ local_date('incidents.created_at') }} as created_date,
        case when incidents.closed_at <= as_at.as_at then incidents.closed_at end as credible_closed_at,
        as_at.as_at,
        {{ local_date('as_at.as_at') }} as as_at_date
    from incidents
    cross join as_at
    left join case_types
        on incidents.case_type_code = case_types.case_type_code
    left join contact_channels
        on incidents.origin_code = contact_channels.source_value
    left join service_source_values
        on incidents.service_name = service_source_values.source_value
    left join int_contacts_conformed
        on incidents.contact_token = int_contacts_conformed.contact_token
    left join contacts_counted
        on incidents.case_reference = contacts_counted.case_reference

),

timed as (

    select
        described.*,
        case
            when not described.is_closed_before_created
                then (
                    {{ working_hours('described.credible_closed_at', 'closed_on') }}
                    - {{ working_hours('described.created_at', 'created_on') }}
                )::numeric(9, 2)
        end as close_working_hours,
        case
            when described.is_open
                then (
                    {{ working_hours('described.as_at', 'as_at_on') }}
                    - {{ working_hours('described.created_at', 'created_on') }}
                )::numeric(9, 2)
        end as age_working_hours
    from described
    left join dim_dates as created_on
        on described.created_date = created_on.date_day
    left join dim_dates as closed_on
        on {{ local_date('described.credible_closed_at') }} = closed_on.date_day
    left join dim_dates as as_at_on
        on described.as_at_date = as_at_on.date_day

),

final as (

    select
        {{ surrogate_key(['case_reference']) }} as case_key,
        {{ person_key('customer', 'contact_token') }} as person_key,
        case_reference,
        case_type_code,
        case_type_name,
        service_code,
        service_name,
        channel_code,
        channel_name,
        district_code,
        district_name,
        state_name,
        reopened_count,
        contact_count,
        service_level_hours,
        close_working_hours,
        age_working_hours,
        is_test,
        is_open,
        reopened_count > 0 as is_reopened,
        case when state_name = 'Resolved' then reopened_count = 0 and contact_count <= 1 end as is_resolved_first_time,
        case
            when state_name = 'Resolved' then close_working_hours <= service_level_hours
            when age_working_hours > service_level_hours then false
        end as is_within_service_level,
        case
            when state_name = 'Resolved' and not is_closed_before_created then credible_closed_at <= source_due_at
        end as is_within_source_deadline,
        is_closed_before_created,
        created_at,
        credible_closed_at as closed_at,
        created_date,
        {{ local_date('credible_closed_at') }} as closed_date,
        as_at_date
    from timed

)

select * from final
