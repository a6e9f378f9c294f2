with

stg_itrent__employees as (

    select * from {{ ref('stg_itrent__employees') }}

),

versions as (

    {{ versions_by_month('stg_itrent__employees', 'unit_code', ['unit_name', 'directorate_name']) }}

),

final as (

    select
        {{ surrogate_key(['unit_code', 'valid_from_date']) }} as organisation_unit_key,
        unit_code,
        unit_name,
        directorate_name,
        valid_from_date,
        valid_to_date,
        is_current
    from versions

)

select * from final
