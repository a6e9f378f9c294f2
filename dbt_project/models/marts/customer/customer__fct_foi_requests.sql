with

foi_requests as (

    select * from {{ ref('stg_dynamics__foi_requests') }}

),

bank_holidays as (

    select distinct bank_holiday_date
    from {{ ref('stg_reference__bank_holidays') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

-- a bank holiday in any part of the United Kingdom is not a working day (Freedom of Information Act 2000,
-- section 10(6); Environmental Information Regulations 2004, regulation 2(1))
calendar as (

    select
        dim_dates.date_day,
        not dim_dates.is_weekend and bank_holidays.bank_holiday_date is null as is_working_day,
        (count(*) filter (
            where not dim_dates.is_weekend and bank_holidays.bank_holiday_date is null
        ) over (order by dim_dates.date_day))::integer as working_day_number
    from dim_dates
    left join bank_holidays
        on dim_dates.date_day = bank_holidays.bank_holiday_date

),

working_days as (

    select *
    from calendar
    where is_working_day

),

-- the data go up to the latest change in the source
as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from foi_requests

),

-- what is dated after the as-at date has not happened; such an answer is a finding
answered as (

    select
        foi_requests.request_reference,
        foi_requests.regime_code,
        foi_requests.topic_name,
        foi_requests.outcome_name,
        foi_requests.exemption_name,
        foi_requests.received_date,
        foi_requests.source_due_date,
        {{ credible_date('foi_requests.clarification_asked_date', 'as_at.as_at_date') }} as clarification_asked_date,
        {{ credible_date('foi_requests.clarified_date', 'as_at.as_at_date') }} as clarified_date,
        {{ credible_date('foi_requests.fees_notice_date', 'as_at.as_at_date') }} as fees_notice_date,
        {{ credible_date('foi_requests.fee_paid_date', 'as_at.as_at_date') }} as fee_paid_date,
        {{ credible_date('foi_requests.extended_date', 'as_at.as_at_date') }} as extended_date,
        {{ credible_date('foi_requests.answered_date', 'as_at.as_at_date') }} as answered_date,
        {{ credible_date('foi_requests.review_asked_date', 'as_at.as_at_date') }} as review_asked_date,
        {{ credible_date('foi_requests.review_answered_date', 'as_at.as_at_date') }} as review_answered_date,
        as_at.as_at_date
    from foi_requests
    cross join as_at

),

clocked as (

    select
        answered.*,
        coalesce(answered.answered_date < answered.received_date, false) as is_answered_before_received,
        -- the time begins again when the requester clarifies the request (sections 1(3) and 10(6); regulation 9(4))
        greatest(answered.received_date, answered.clarified_date) as clock_start_date,
        (answered.clarification_asked_date is not null and answered.clarified_date is null)
        or (answered.fees_notice_date is not null and answered.fee_paid_date is null) as is_clock_stopped,
        -- an exemption with a public interest test (section 10(3), section 45 code) and a complex request for
        -- environmental information (regulation 7) may take 20 working days more
        20 + case when answered.extended_date is not null then 20 else 0 end as allowed_working_days,
        -- internal reviews: 20 working days for FOI (section 45 code, 5.4), 40 for EIR (regulation 11(4))
        case when answered.regime_code = 'EIR' then 40 else 20 end as allowed_review_working_days
    from answered

),

numbered as (

    select
        clocked.*,
        started_on.working_day_number as started_number,
        answered_on.working_day_number as answered_number,
        reviewed_on.working_day_number as review_number,
        -- days from the fees notice to the fee do not count (section 10(2))
        coalesce(
            paid_on.working_day_number - noticed_on.working_day_number + noticed_on.is_working_day::integer, 0
        ) as stopped_working_days
    from clocked
    left join calendar as started_on
        on clocked.clock_start_date = started_on.date_day
    left join calendar as answered_on
        on clocked.answered_date = answered_on.date_day
    left join calendar as noticed_on
        on clocked.fees_notice_date = noticed_on.date_day
    left join calendar as paid_on
        on clocked.fee_paid_date = paid_on.date_day
    left join calendar as reviewed_on
        on clocked.review_asked_date = reviewed_on.date_day

),

timed as (

    select
        numbered.*,
        case
            when numbered.answered_number is not null and not numbered.is_answered_before_received
                then greatest(numbered.answered_number - numbered.started_number - numbered.stopped_working_days, 0)
        end as answer_working_days,
        -- the first working day is the one after receipt (section 10(1), regulation 5(2))
        case when not numbered.is_clock_stopped then due_on.date_day end as due_date,
        review_due_on.date_day as review_due_date
    from numbered
    left join working_days as due_on
        on
            numbered.started_number + numbered.allowed_working_days + numbered.stopped_working_days
            = due_on.working_day_number
    left join working_days as review_due_on
        on numbered.review_number + numbered.allowed_review_working_days = review_due_on.working_day_number

),

final as (

    select
        {{ surrogate_key(['request_reference']) }} as foi_request_key,
        request_reference,
        regime_code,
        topic_name,
        outcome_name,
        exemption_name,
        answer_working_days,
        allowed_working_days,
        stopped_working_days,
        answered_date is null as is_open,
        answered_date is null and is_clock_stopped as is_clock_stopped,
        case
            when outcome_name = 'Withdrawn' or is_answered_before_received then null
            when answer_working_days > 20 then false
            when answer_working_days <= 20 then true
            when as_at_date > due_date then false
        end as is_in_20_working_days,
        case
            when outcome_name = 'Withdrawn' or is_answered_before_received then null
            when answered_date > due_date then false
            when answered_date is not null then true
            when as_at_date > due_date then false
        end as is_in_time,
        case
            when review_answered_date > review_due_date then false
            when review_answered_date is not null then true
            when as_at_date > review_due_date then false
        end as is_review_in_time,
        is_answered_before_received,
        received_date,
        clock_start_date,
        due_date,
        source_due_date,
        answered_date,
        review_asked_date,
        review_due_date,
        review_answered_date,
        as_at_date
    from timed

)

select * from final
