with

children__fct_looked_after_months as (

    select * from {{ ref('children__fct_looked_after_months') }}

),

counted as (

    select
        month_end_date,
        placement_group,
        count(*) as child_count,
        count(*) filter (where age_years < 5) as under_5_count,
        count(*) filter (where age_years in (16, 17)) as over_15_count,
        avg(days_looked_after) as mean_days,
        max(as_at_date) as as_at_date
    from children__fct_looked_after_months
    group by month_end_date, placement_group

),

final as (

    select
        month_end_date as "Month end",
        placement_group as "Placement",
        {{ unless_few('child_count') }} as "Children looked after",
        {{ unless_few_or_few_others('under_5_count', '(child_count - over_15_count)') }} as "Aged under 5",
        {{ unless_few_or_few_others('over_15_count', '(child_count - under_5_count)') }} as "Aged 16 and 17",
        {{ unless_few('child_count', 'mean_days') }}::numeric(9, 1) as "Mean days looked after",
        as_at_date as "As at"
    from counted

)

select * from final
