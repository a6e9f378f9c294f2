with

dim_positions as (

    select * from {{ ref('dim_positions') }}

),

final as (

    select
        position_version_key,
        {{ person_key('workforce', 'position_reference') }} as position_key,
        {{ person_key('workforce', 'manager_position_reference') }} as manager_position_key,
        {{ person_key('workforce', 'employee_token') }} as person_key,
        organisation_unit_key,
        post_title,
        contract_type_name,
        grade_code,
        fte,
        is_current,
        valid_from_date,
        valid_to_date
    from dim_positions

)

select * from final
