with

ehcps as (

    select * from {{ ref('stg_capita__ehcps') }}

),

bridge_pupils_upns as (

    select * from {{ ref('bridge_pupils_upns') }}

),

sen_needs as (

    select * from {{ ref('sen_needs') }}

),

-- the data go up to the day on which the file was written; a later decision or plan has not happened, and is a finding
as_at as (

    select {{ extract_date('capita') }} as as_at_date

),

credible as (

    select
        ehcps.source_file,
        ehcps.source_row_number,
        ehcps.upn_token,
        ehcps.primary_need_code,
        ehcps.outcome_name,
        coalesce(ehcps.is_exception, false) as is_exception,
        {{ credible_date('ehcps.requested_date', 'as_at.as_at_date') }} as requested_date,
        {{ credible_date('ehcps.decided_date', 'as_at.as_at_date') }} as decided_date,
        {{ credible_date('ehcps.issued_date', 'as_at.as_at_date') }} as issued_date,
        as_at.as_at_date
    from ehcps
    cross join as_at

),

dated as (

    select
        *,
        coalesce(decided_date < requested_date or issued_date < requested_date, false) as is_out_of_order,
        issued_date is null and coalesce(outcome_name, '') <> 'Refused' as is_open
    from credible

),

final as (

    select
        {{ content_key(['dated.upn_token', 'dated.requested_date']) }} as ehcp_key,
        coalesce(bridge_pupils_upns.person_key, {{ person_key('education', 'dated.upn_token') }}) as person_key,
        sen_needs.need_code as primary_need_code,
        sen_needs.need_name as primary_need_name,
        dated.outcome_name,
        case when not dated.is_out_of_order then dated.decided_date - dated.requested_date end as decision_days,
        case when not dated.is_out_of_order then dated.issued_date - dated.requested_date end as issue_days,
        -- Special Educational Needs and Disability Regulations 2014, regulation 13: 20 weeks from the request
        case when not dated.is_out_of_order then dated.issued_date - dated.requested_date <= 140 end as is_in_20_weeks,
        dated.is_exception,
        dated.is_open,
        coalesce(dated.is_open and dated.as_at_date - dated.requested_date > 140, false) as is_overdue,
        dated.is_out_of_order,
        dated.requested_date,
        dated.decided_date,
        dated.issued_date,
        dated.as_at_date
    from dated
    left join bridge_pupils_upns
        on dated.upn_token = bridge_pupils_upns.upn_token
    left join sen_needs
        on dated.primary_need_code = sen_needs.need_code

)

select * from final
