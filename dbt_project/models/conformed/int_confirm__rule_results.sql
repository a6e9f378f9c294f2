with

staged_defects as (

    select * from {{ ref('stg_confirm__defects') }}

),

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from enquiries

),

defects as (

    select
        staged_defects.*,
        {{ date_fault(local_date('staged_defects.reported_at'), 'as_at.as_at_date') }} as reported_fault,
        {{ date_fault(local_date('staged_defects.completed_at'), 'as_at.as_at_date') }} as completed_fault
    from staged_defects
    cross join as_at

),

enquiry_logs as (

    select * from {{ ref('stg_confirm__enquiry_logs') }}

),

enquiry_statuses as (

    select * from {{ ref('stg_confirm__enquiry_statuses') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

-- the smallest rectangle around the county's postcodes, extended by a kilometre
county as (

    select
        numrange((min(easting) - 1000)::numeric, (max(easting) + 1000)::numeric) as eastings,
        numrange((min(northing) - 1000)::numeric, (max(northing) + 1000)::numeric) as northings
    from dim_postcodes

),

places as (

    select
        enquiries.enquiry_number,
        enquiries.easting_raw,
        enquiries.easting,
        enquiries.easting <@ county.eastings and enquiries.northing <@ county.northings as is_inside,
        enquiries.northing <@ county.eastings and enquiries.easting <@ county.northings as is_inside_exchanged
    from enquiries
    cross join county

),

entries as (

    select
        enquiry_logs.enquiry_number || ':' || enquiry_logs.log_number as entry_key,
        enquiry_logs.effective_at,
        enquiry_statuses.is_outstanding,
        {{ is_before('enquiry_logs.effective_at', 'enquiries.logged_at') }} as is_before_logged,
        {{ is_before('enquiry_logs.effective_at', 'entry_before.effective_at') }} as is_before_entry_before
    from enquiry_logs
    left join enquiries
        on enquiry_logs.enquiry_number = enquiries.enquiry_number
    left join enquiry_logs as entry_before
        on
            enquiry_logs.enquiry_number = entry_before.enquiry_number
            and enquiry_logs.log_number = entry_before.log_number + 1
    left join enquiry_statuses
        on enquiry_logs.status_code = enquiry_statuses.status_code

),

int_street_wards_bounded as (

    select * from {{ ref('int_street_wards_bounded') }}

),

enquiry_customers as (

    select * from {{ ref('stg_confirm__enquiry_customers') }}

),

unioned as (

    {{ column_checks('enquiry_customers', 'raw_confirm.enquiry_customer', 'enquiry_number', {
        'customer_name': 'name',
        'customer_address': 'address',
        'customer_email': 'email',
        'customer_phone': 'telephone',
    }) }}

    union all

    {{ column_checks('enquiries', 'raw_confirm.central_enquiry', 'enquiry_number', {
        'site_code': ('usrn_raw is not null', "case when usrn is null then 'USR01' end"),
    }) }}

    union all

    {{ column_checks('places', 'raw_confirm.central_enquiry', 'enquiry_number', {
        'enquiry_x': (
            'easting_raw is not null',
            "case when easting is null then 'HWY01' when is_inside_exchanged then 'HWY04' when not is_inside then 'HWY05' end"
        ),
    }) }}

    union all

    {{ column_checks('entries', 'raw_confirm.enquiry_status_log', 'entry_key', {
        'effective_time': (
            'effective_at is not null',
            "case when is_before_logged and not is_outstanding then 'HWY02' when is_before_entry_before then 'HWY03' end"
        ),
    }) }}

    union all

    {{ column_checks('defects', 'raw_confirm.defect', 'defect_id', {
        'usrn': ('usrn_raw is not null', "case when usrn is null then 'USR01' end"),
        'date_reported': ('reported_at is not null', 'reported_fault'),
        'actual_completion_date': ('completed_at is not null', 'completed_fault'),
    }) }}

    union all

    {{ column_checks('int_street_wards_bounded', 'raw_confirm.site_ward', 'street_ward_key', {
        'site_code': ('usrn_raw is not null', "case when usrn is null then 'USR01' end"),
        'ward_code': ('true', "case when not is_ward_there then 'HWY06' end"),
        'end_date': ('true', "case when has_impossible_days then 'HWY07' end"),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
