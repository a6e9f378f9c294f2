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
        workforce__dim_organisation_units.directorate_name,
        workforce__dim_organisation_units.unit_code,
        workforce__dim_organisation_units.unit_name,
        sum(workforce__fct_headcount_months.headcount) as headcount,
        sum(workforce__fct_headcount_months.fte) as fte,
        count(*) filter (where workforce__fct_headcount_months.is_leaver) as leavers
    from workforce__fct_headcount_months
    inner join workforce__dim_organisation_units
        on
            workforce__fct_headcount_months.organisation_unit_key
            = workforce__dim_organisation_units.organisation_unit_key
    group by 1, 2, 3, 4

),

years as (

    select
        *,
        (sum(leavers) over twelve_months)::bigint as leavers_in_year,
        avg(headcount) over twelve_months as mean_headcount,
        count(*) over twelve_months = 12 as is_whole_year
    from months
    window twelve_months as (partition by unit_code order by month_end_date range interval '11 months' preceding)

),

final as (

    -- counts under five are suppressed
    select
        month_end_date as "Month end",
        directorate_name as "Directorate",
        unit_name as "Unit",
        {{ unless_few('headcount') }} as "Headcount",
        {{ unless_few('headcount', 'fte::numeric(9, 1)') }} as "FTE",
        case when is_whole_year and leavers_in_year >= 5 then leavers_in_year end as "Leavers in 12 months",
        case
            when is_whole_year and leavers_in_year >= 5 and mean_headcount >= 5
                then (100.0 * leavers_in_year / mean_headcount)::numeric(5, 1)
        end as "Percentage turnover in 12 months"
    from years

)

select * from final
