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

    union all

    select
        {{ unknown_key() }} as organisation_unit_key,
        {{ unknown_code() }} as unit_code,
        {{ unknown_code() }} as unit_name,
        {{ unknown_code() }} as directorate_name,
        {{ unknown_from_date() }} as valid_from_date,
        null as valid_to_date,
        false as is_current

)

select * from final
