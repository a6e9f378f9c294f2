with

dim_organisation_units as (

    select * from {{ ref('dim_organisation_units') }}

),

final as (

    select
        organisation_unit_key,
        unit_code,
        unit_name,
        directorate_name,
        valid_from_date,
        valid_to_date,
        is_current
    from dim_organisation_units

)

select * from final
