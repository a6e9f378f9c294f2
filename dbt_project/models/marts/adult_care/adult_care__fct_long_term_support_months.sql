with

int_long_term_support_months_counted as (

    select * from {{ ref('int_long_term_support_months_counted') }}

),

final as (

    select
        support_month_key,
        service_key,
        person_key,
        restriction,
        age_group,
        service_type,
        service_component,
        delivery_mechanism,
        primary_support_reason_key,
        weekly_cost_gbp,
        month_end_date
    from int_long_term_support_months_counted

)

select * from final
