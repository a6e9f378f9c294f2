with

dim_services as (

    select * from {{ ref('dim_services') }}

),

final as (

    select
        service_key,
        service_code,
        service_name,
        parent_service_code,
        parent_service_name,
        lgsl_code,
        lgsl_name,
        sercop_division_name,
        organisation_unit_key,
        unit_code,
        unit_name,
        directorate_name,
        cost_centre_key,
        cost_centre_code,
        cost_centre_name,
        valid_from_date,
        valid_to_date,
        is_current
    from dim_services

)

select * from final
