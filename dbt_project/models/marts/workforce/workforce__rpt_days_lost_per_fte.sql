with

workforce__fct_headcount_months as (

    select * from {{ ref('workforce__fct_headcount_months') }}

),

workforce__dim_organisation_units as (

    select * from {{ ref('workforce__dim_organisation_units') }}

),

months as (

    select
        workforce__fct_headcount_months.month_end_date,
        case
            when grouping(workforce__dim_organisation_units.directorate_name) = 1 then 'All directorates'
            else workforce__dim_organisation_units.directorate_name
        end as directorate_name,
        grouping(workforce__dim_organisation_units.directorate_name) = 1 as is_total,
        sum(workforce__fct_headcount_months.headcount) as headcount,
        sum(workforce__fct_headcount_months.fte) as fte,
        sum(workforce__fct_headcount_months.sickness_fte_days_lost) as fte_days_lost
    from workforce__fct_headcount_months
    inner join workforce__dim_organisation_units
        on
            workforce__fct_headcount_months.organisation_unit_key
            = workforce__dim_organisation_units.organisation_unit_key
    group by
        workforce__fct_headcount_months.month_end_date,
        grouping sets ((workforce__dim_organisation_units.directorate_name), ())

),

years as (

    select
        *,
        sum(fte_days_lost) over twelve_months as days_lost_in_year,
        avg(fte) over twelve_months as mean_fte,
        min(headcount) over twelve_months as least_headcount,
        count(*) over twelve_months as month_count
    from months
    window twelve_months as (partition by directorate_name order by month_end_date range interval '11 months' preceding)

),

final as (

    -- figures for fewer than five people are suppressed
    select
        month_end_date as "Month end",
        directorate_name as "Directorate",
        -- from the amounts of all directorates a reader could subtract those of the directorates that are shown
        case when not is_total and least_headcount >= 5 then mean_fte end::numeric(9, 1) as "Mean FTE",
        case when not is_total and least_headcount >= 5 then days_lost_in_year end::numeric(9, 1)
            as "FTE days lost in 12 months",
        {{ unless_few('least_headcount', '(days_lost_in_year / nullif(mean_fte, 0))::numeric(9, 1)') }}
            as "Days lost per FTE"
    from years
    where month_count = 12

)

select * from final
