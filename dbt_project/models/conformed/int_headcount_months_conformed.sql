with

int_posts_conformed as (

    select * from {{ ref('int_posts_conformed') }}

),

-- the post with the highest FTE is the main post
ranked as (

    select
        *,
        row_number() over (
            partition by month_end_date, employee_token
            order by (leaving_date is null) desc, counted_fte desc nulls last, position_reference asc
        ) as post_rank
    from int_posts_conformed
    where not is_still_live_after_leaving

),

summed as (

    select
        employee_token,
        month_end_date,
        max(organisation_unit_key) filter (where post_rank = 1) as organisation_unit_key,
        max(contract_type_name) filter (where post_rank = 1) as contract_type_name,
        max(grade_code) filter (where post_rank = 1) as grade_code,
        count(*)::integer as post_count,
        case when bool_and(counted_fte is not null) then least(sum(counted_fte), 1)::numeric(6, 3) end as fte,
        bool_or(leaving_date is null or leaving_date > month_end_date) as is_employed_at_month_end,
        bool_or(is_fte_in_doubt) as is_fte_in_doubt,
        min(start_date) as start_date,
        max(leaving_date) as leaving_date,
        max(leaving_reason_name) as leaving_reason_name
    from ranked
    group by employee_token, month_end_date

),

final as (

    select
        {{ surrogate_key(['employee_token', 'month_end_date']) }} as headcount_key,
        {{ person_key('workforce', 'employee_token') }} as person_key,
        employee_token,
        month_end_date,
        organisation_unit_key,
        contract_type_name,
        grade_code,
        case when not is_employed_at_month_end then leaving_reason_name end as leaving_reason_name,
        post_count,
        is_employed_at_month_end::integer as headcount,
        case when is_employed_at_month_end then fte else 0 end as fte,
        fte as contracted_fte,
        is_employed_at_month_end,
        start_date >= date_trunc('month', month_end_date)::date as is_starter,
        not is_employed_at_month_end as is_leaver,
        coalesce(not is_employed_at_month_end and leaving_date < start_date + interval '1 year', false)
            as is_first_year_leaver,
        is_fte_in_doubt
    from summed

)

select * from final
