with

dim_employees as (

    select * from {{ ref('dim_employees') }}

),

final as (

    select
        employee_version_key,
        person_key,
        ethnicity_name,
        is_disabled,
        is_current,
        start_date,
        valid_from_date,
        valid_to_date
    from dim_employees

)

select * from final
