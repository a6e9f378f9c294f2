with

complaints as (

    select * from {{ ref('stg_dynamics__complaints') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

-- the data go up to the latest change in the source
as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from complaints

),

credible as (

    select
        complaints.complaint_stage_reference,
        complaints.complaint_reference,
        complaints.stage_number,
        complaints.service_name,
        complaints.outcome_name,
        complaints.received_date,
        {{ credible_date('complaints.acknowledged_date', 'as_at.as_at_date') }} as acknowledged_date,
        {{ credible_date('complaints.responded_date', 'as_at.as_at_date') }} as responded_date,
        -- stage 1: 10 working days after the acknowledgement; stage 2: 20 (Complaint Handling Code, 2024)
        case when complaints.stage_number = 1 then 10 else 20 end as allowed_working_days,
        as_at.as_at_date
    from complaints
    cross join as_at

),

counted as (

    select
        credible.*,
        acknowledged_on.working_day_number - received_on.working_day_number as acknowledgement_working_days,
        responded_on.working_day_number - acknowledged_on.working_day_number as response_working_days,
        as_at_on.working_day_number - received_on.working_day_number as days_since_receipt,
        as_at_on.working_day_number - acknowledged_on.working_day_number as days_since_acknowledgement
    from credible
    left join dim_dates as received_on
        on credible.received_date = received_on.date_day
    left join dim_dates as acknowledged_on
        on credible.acknowledged_date = acknowledged_on.date_day
    left join dim_dates as responded_on
        on credible.responded_date = responded_on.date_day
    left join dim_dates as as_at_on
        on credible.as_at_date = as_at_on.date_day

),

final as (

    select
        {{ surrogate_key(['complaint_stage_reference']) }} as complaint_stage_key,
        complaint_reference,
        stage_number,
        service_name,
        outcome_name,
        acknowledgement_working_days,
        response_working_days,
        allowed_working_days,
        -- a stage that is not yet over its time is neither in time nor late
        case
            when acknowledgement_working_days is not null then acknowledgement_working_days <= 5
            when days_since_receipt > 5 then false
        end as is_acknowledged_in_time,
        case
            when outcome_name = 'Withdrawn' then null
            when response_working_days is not null then response_working_days <= allowed_working_days
            when days_since_acknowledgement > allowed_working_days then false
        end as is_answered_in_time,
        outcome_name in ('Upheld', 'Partly upheld') as is_upheld,
        responded_date is null as is_open,
        received_date,
        acknowledged_date,
        responded_date,
        as_at_date
    from counted

)

select * from final
