with

int_loan_events_conformed as (

    select * from {{ ref('int_loan_events_conformed') }}

),


borrowed as (

    select distinct
        branch_key,
        person_key,
        date_trunc('month', event_date)::date as month_start_date
    from int_loan_events_conformed
    where is_loan and not is_on_staff_card and not is_after_death

),

-- a member who borrowed in a month is active in that month and the 11 months after
active as (

    select
        borrowed.branch_key,
        borrowed.person_key,
        (borrowed.month_start_date + make_interval(months => later.months))::date as month_start_date
    from borrowed
    cross join generate_series(0, 11) as later (months)

),

known_months as (

    select
        date_trunc('month', min(event_date) + interval '11 months')::date as first_month,
        date_trunc('month', max(event_date))::date as last_month
    from int_loan_events_conformed

),

-- a member of several branches is one member of the county
county as (

    select
        month_start_date,
        count(distinct person_key) as county_active_members
    from active
    group by month_start_date

),

final as (

    select
        {{ known_or_unknown('active.branch_key') }} as branch_key,
        active.month_start_date,
        count(distinct active.person_key) as active_members,
        county.county_active_members
    from active
    cross join known_months
    inner join county
        on active.month_start_date = county.month_start_date
    where active.month_start_date between known_months.first_month and known_months.last_month
    group by
        active.branch_key,
        active.month_start_date,
        county.county_active_members

)

select * from final
