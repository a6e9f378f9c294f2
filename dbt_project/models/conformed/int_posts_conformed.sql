with recursive

employees as (

    select * from {{ ref('stg_itrent__employees') }}

),

dim_organisation_units as (

    select * from {{ ref('dim_organisation_units') }}

),

reports as (

    select
        month_end_date,
        position_reference,
        manager_position_reference
    from employees
    where manager_position_reference is not null

),

-- the posts above a post, step by step, to the top or to a post already passed
chains as (

    select
        month_end_date,
        position_reference,
        manager_position_reference as above_reference,
        array[manager_position_reference] as passed_references
    from reports

    union all

    select
        chains.month_end_date,
        chains.position_reference,
        reports.manager_position_reference as above_reference,
        chains.passed_references || reports.manager_position_reference as passed_references
    from chains
    inner join reports
        on
            chains.month_end_date = reports.month_end_date
            and chains.above_reference = reports.position_reference
    where
        chains.above_reference <> chains.position_reference
        and not reports.manager_position_reference = any(chains.passed_references)

),

loops as (

    select distinct
        month_end_date,
        position_reference
    from chains
    where above_reference = position_reference

),

final as (

    select
        {{ surrogate_key(['employees.month_end_date', 'employees.position_reference']) }} as post_month_key,
        employees.month_end_date,
        employees.position_reference,
        employees.manager_position_reference,
        employees.employee_token,
        dim_organisation_units.organisation_unit_key,
        employees.post_title,
        employees.contract_type_name,
        employees.grade_code,
        employees.spine_point,
        employees.fte,
        -- a post whose full-time equivalent in the source is over 1 counts as 1
        least(case when employees.fte_raw > 0 then employees.fte_raw end, 1)::numeric(6, 3) as counted_fte,
        employees.leaving_reason_name,
        employees.start_date,
        employees.leaving_date,
        employees.fte is null as is_fte_in_doubt,
        coalesce(
            employees.leaving_date < date_trunc('month', employees.month_end_date)::date, false
        ) as is_still_live_after_leaving,
        loops.position_reference is not null as is_in_manager_loop
    from employees
    left join dim_organisation_units
        on
            employees.unit_code = dim_organisation_units.unit_code
            and {{ is_in_force('dim_organisation_units', 'employees.month_end_date') }}
    left join loops
        on
            employees.month_end_date = loops.month_end_date
            and employees.position_reference = loops.position_reference

)

select * from final
