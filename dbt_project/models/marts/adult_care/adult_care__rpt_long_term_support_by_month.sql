with

adult_care__fct_long_term_support_months as (

    select * from {{ ref('adult_care__fct_long_term_support_months') }}

),

counted as (

    select
        month_end_date,
        service_type,
        age_group,
        count(distinct person_key) as person_count,
        count(weekly_cost_gbp) as costed_count,
        count(*) as service_count,
        sum(weekly_cost_gbp) as weekly_cost_gbp
    from adult_care__fct_long_term_support_months
    group by
        month_end_date,
        service_type,
        age_group

),

final as (

    select
        month_end_date as "Month end",
        replace(service_type, 'Long Term Support: ', '') as "Support",
        age_group as "Age group",
        {{ rounded_few('person_count') }} as "People",
        {{ rounded_amount('person_count', 'weekly_cost_gbp', 100) }}::numeric(12, 2) as "Weekly cost in pounds",
        {{ rounded_amount('person_count', '(weekly_cost_gbp / person_count)', 10) }}::numeric(12, 2)
            as "Weekly cost per person in pounds",
        {{ rounded_few('(service_count - costed_count)') }} as "Services without a cost"
    from counted

)

select * from final
