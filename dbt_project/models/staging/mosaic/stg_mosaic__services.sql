with

source as (

    select * from {{ source('raw_mosaic', 'dm_services') }}

),

renamed as (

    select
        -- ids
        service_id,
        person_id as person_token,
        assessment_id,

        -- text
        {{ listed(clean_text('service_type'), code_list('service_type')) }} as service_type,
        {{ listed(clean_text('service_component'), code_list('service_component')) }}
            as service_component,
        {{ listed(clean_code('delivery_mechanism'), code_list('delivery_mechanism')) }}
            as delivery_mechanism,
        {{ clean_text('primary_support_reason') }} as primary_support_reason,
        {{ clean_text('provider') }} as provider_name_raw,
        {{ normalised_organisation_name('provider') }} as provider_normalised_name,
        {{ listed(clean_text('cost_frequency'), 'select cost_frequency from ' ~ ref('care_cost_frequencies')) }}
            as cost_frequency,

        -- numbers
        unit_cost as unit_cost_gbp,
        planned_units_per_week,
        age_years::integer as age_years,

        -- dates
        start_date,
        end_date,
        last_updated_on as updated_at

    from source

)

select * from renamed
