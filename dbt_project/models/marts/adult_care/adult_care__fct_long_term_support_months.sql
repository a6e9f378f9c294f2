with

int_care_services_conformed as (

    select * from {{ ref('int_care_services_conformed') }}

),

int_care_as_at_dated as (

    select * from {{ ref('int_care_as_at_dated') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

month_ends as (

    select distinct (dim_dates.month_start_date + interval '1 month - 1 day')::date as month_end_date
    from dim_dates
    inner join int_care_as_at_dated
        on dim_dates.month_start_date + interval '1 month - 1 day' <= int_care_as_at_dated.as_at_date

),

final as (

    select
        {{ surrogate_key(['int_care_services_conformed.service_id', 'month_ends.month_end_date']) }}
            as support_month_key,
        int_care_services_conformed.care_service_key,
        int_care_services_conformed.person_key,
        int_care_services_conformed.restriction,
        {{ age_group('int_care_services_conformed.birth_month', 'month_ends.month_end_date') }} as age_group,
        int_care_services_conformed.service_type,
        int_care_services_conformed.service_component,
        int_care_services_conformed.delivery_mechanism,
        {{ known_or_unknown('int_care_services_conformed.primary_support_reason_key') }} as primary_support_reason_key,
        int_care_services_conformed.weekly_cost_gbp,
        -- the setting of a person with services in several is that of the most care (SALT)
        (array['Nursing care', 'Residential care', 'Community'])[
            min(array_position(
                array[
                    'Long Term Support: Nursing Care',
                    'Long Term Support: Residential Care',
                    'Long Term Support: Community'
                ],
                int_care_services_conformed.service_type
            )) over (partition by int_care_services_conformed.person_key, month_ends.month_end_date)
        ] as support_setting,
        month_ends.month_end_date
    from int_care_services_conformed
    inner join month_ends
        on
            int_care_services_conformed.start_date <= month_ends.month_end_date
            and coalesce(int_care_services_conformed.end_date, month_ends.month_end_date) >= month_ends.month_end_date
    where int_care_services_conformed.is_long_term_support

)

select * from final
