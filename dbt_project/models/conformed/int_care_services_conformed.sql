with

services as (

    select * from {{ ref('stg_mosaic__services') }}

),

assessments as (

    select * from {{ ref('stg_mosaic__assessments') }}

),

organisations as (

    select * from {{ ref('stg_mosaic__organisations') }}

),

int_care_people_conformed as (

    select * from {{ ref('int_care_people_conformed') }}

),

dim_primary_support_reasons as (

    select * from {{ ref('dim_primary_support_reasons') }}

),

care_cost_frequencies as (

    select * from {{ ref('care_cost_frequencies') }}

),

-- a name of two organisations identifies neither
providers as (

    select
        normalised_name,
        min(organisation_name) as provider_name
    from organisations
    group by normalised_name
    having count(*) = 1

),

joined as (

    select
        services.*,
        int_care_people_conformed.person_key,
        int_care_people_conformed.restriction,
        int_care_people_conformed.birth_month,
        int_care_people_conformed.date_of_death,
        providers.provider_name,
        care_cost_frequencies.is_per_unit,
        care_cost_frequencies.periods_per_year,
        coalesce(assessments.primary_support_reason, services.primary_support_reason) as assessed_support_reason,
        coalesce(
            assessments.primary_support_reason <> services.primary_support_reason, false
        ) as is_support_reason_in_doubt,
        -- a week of care does not cost as much as two hours
        coalesce(
            services.cost_frequency = 'Weekly'
            and services.planned_units_per_week > 1
            and services.unit_cost_gbp < 50, false
        ) as is_cost_in_doubt
    from services
    left join int_care_people_conformed
        on services.person_token = int_care_people_conformed.person_token
    left join assessments
        on services.assessment_id = assessments.assessment_id
    left join providers
        on services.provider_normalised_name = providers.normalised_name
    left join care_cost_frequencies
        on services.cost_frequency = care_cost_frequencies.cost_frequency

),

final as (

    select
        {{ surrogate_key(['joined.service_id']) }} as care_service_key,
        joined.service_id,
        joined.person_key,
        joined.restriction,
        joined.birth_month,
        joined.service_type,
        joined.service_component,
        joined.delivery_mechanism,
        dim_primary_support_reasons.primary_support_reason_key,
        joined.provider_name,
        joined.cost_frequency,
        joined.unit_cost_gbp,
        joined.planned_units_per_week,
        case
            when joined.is_cost_in_doubt then null
            when joined.is_per_unit then joined.unit_cost_gbp * joined.planned_units_per_week
            else joined.unit_cost_gbp * joined.periods_per_year / 52
        end::numeric(12, 2) as weekly_cost_gbp,
        joined.service_type like 'Long Term Support: %' as is_long_term_support,
        joined.is_cost_in_doubt,
        joined.is_support_reason_in_doubt,
        coalesce(joined.date_of_death < coalesce(joined.end_date, 'infinity'), false) as is_open_after_death,
        joined.start_date,
        case
            when coalesce(joined.end_date, joined.date_of_death) is not null
                then greatest(joined.start_date, least(joined.end_date, joined.date_of_death))
        end as end_date
    from joined
    left join dim_primary_support_reasons
        on joined.assessed_support_reason = dim_primary_support_reasons.primary_support_reason_name

)

select * from final
