with

education__fct_ehcps as (

    select * from {{ ref('education__fct_ehcps') }}

),


requested as (

    select
        date_trunc('month', requested_date)::date as month_start_date,
        count(*) as requests
    from education__fct_ehcps
    group by date_trunc('month', requested_date)

),

issued as (

    select
        date_trunc('month', issued_date)::date as month_start_date,
        count(*) as plans_issued,
        count(*) filter (where is_in_20_weeks) as plans_in_20_weeks
    from education__fct_ehcps
    where is_in_20_weeks is not null
    group by date_trunc('month', issued_date)

),

final as (

    select
        coalesce(requested.month_start_date, issued.month_start_date) as "Calendar month",
        {{ unless_few('requested.requests') }} as "Requests",
        {{ unless_few('issued.plans_issued') }} as "Plans issued",
        {{ unless_few_or_few_others('issued.plans_in_20_weeks', 'issued.plans_issued') }}
            as "Issued in 20 weeks",
        {{ percent_of(
            'issued.plans_in_20_weeks', 'issued.plans_issued',
            'least(issued.plans_in_20_weeks, issued.plans_issued - issued.plans_in_20_weeks)'
        ) }} as "Issued in 20 weeks per cent"
    from requested
    full join issued
        on requested.month_start_date = issued.month_start_date

)

select * from final
