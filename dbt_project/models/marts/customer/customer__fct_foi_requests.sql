with

foi_requests as (

    select * from {{ ref('stg_dynamics__foi_requests') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

working_days as (

    select *
    from dim_dates
    where is_working_day

),

-- the data go up to the latest change in the source
as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from foi_requests

),

timed as (

    select
        foi_requests.*,
        -- the first working day is the one after receipt (Freedom of Information Act 2000, section 10)
        due_on.date_day as due_date,
        coalesce(foi_requests.answered_date < foi_requests.received_date, false) as is_answered_before_received,
        as_at.as_at_date,
        answered_on.working_day_number - received_on.working_day_number as working_days
    from foi_requests
    cross join as_at
    left join dim_dates as received_on
        on foi_requests.received_date = received_on.date_day
    left join dim_dates as answered_on
        on foi_requests.answered_date = answered_on.date_day
    left join working_days as due_on
        on received_on.working_day_number + 20 = due_on.working_day_number

),

final as (

    select
        {{ surrogate_key(['request_reference']) }} as foi_request_key,
        request_reference,
        topic_name,
        outcome_name,
        exemption_name,
        case when not is_answered_before_received then working_days end as answer_working_days,
        answered_date is null as is_open,
        case
            when outcome_name = 'Withdrawn' or is_answered_before_received then null
            when working_days > 20 then false
            when working_days <= 20 then true
            when as_at_date > due_date then false
        end as is_in_20_working_days,
        is_answered_before_received,
        received_date,
        due_date,
        source_due_date,
        answered_date,
        as_at_date
    from timed

)

select * from final
