with

children__fct_looked_after_months as (

    select * from {{ ref('children__fct_looked_after_months') }}

),

counted as (

    select
        month_end_date,
        grouping(placement_group) = 1 as is_total,
        case when grouping(placement_group) = 1 then 'All placements' else placement_group end as placement_group,
        count(*) as child_count,
        count(*) filter (where age_years < 5) as under_5_count,
        count(*) filter (where age_years in (16, 17)) as over_15_count,
        avg(days_looked_after) as mean_days,
        max(as_at_date) as as_at_date
    from children__fct_looked_after_months
    group by month_end_date, grouping sets ((placement_group), ())

),

-- what a reader can subtract from the total of a month
parts as (

    select
        month_end_date,
        coalesce(sum({{ rounded_few('child_count') }}), 0) as shown_sum,
        count({{ rounded_few('child_count') }}) as shown_count,
        count(*) - count({{ rounded_few('child_count') }}) as suppressed_count
    from counted
    where not is_total
    group by month_end_date

),

final as (

    select
        counted.month_end_date as "Month end",
        counted.placement_group as "Placement",
        case
            when not (
                counted.is_total
                and {{ reveals_suppressed(
                    'counted.child_count', 'parts.shown_sum', 'parts.shown_count', 'parts.suppressed_count'
                ) }}
            ) then {{ rounded_few('counted.child_count') }}
        end as "Children looked after",
        -- ages are shown in the total only: ages of each placement would be more parts of it
        case when counted.is_total then {{ rounded_few('counted.under_5_count') }} end as "Aged under 5",
        case when counted.is_total then {{ rounded_few('counted.over_15_count') }} end as "Aged 16 and 17",
        {{ rounded_amount('counted.child_count', 'counted.mean_days', 10) }}::numeric(9, 1)
            as "Mean days looked after",
        counted.as_at_date as "As at"
    from counted
    inner join parts
        on counted.month_end_date = parts.month_end_date

)

select * from final
