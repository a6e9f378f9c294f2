with

employees as (

    select * from {{ ref('stg_itrent__employees') }}

),

posts as (

    select
        employees.*,
        conformed.is_fte_in_doubt,
        conformed.is_still_live_after_leaving,
        conformed.is_in_manager_loop
    from employees
    inner join {{ ref('int_posts_conformed') }} as conformed
        on
            employees.month_end_date = conformed.month_end_date
            and employees.position_reference = conformed.position_reference

),

absences as (

    select
        *,
        coalesce(last_date, month_end_date) - first_date + 1 as day_count
    from {{ ref('stg_itrent__absences') }}

),

unioned as (

    {{ column_checks('posts', 'raw_itrent.employees', "month_end_date || '|' || position_reference", {
        'fte': ('fte_raw is not null', "case when is_fte_in_doubt then 'HRP01' end"),
        'leaving_date': ('leaving_date is not null', "case when is_still_live_after_leaving then 'HRP02' end"),
        'manager_position_ref': ('manager_position_reference is not null',
            "case when is_in_manager_loop then 'HRP03' end"),
        'ni_number': 'ni_number',
        'date_of_birth': 'birth_date',
        'grade': ('grade_code is not null', listed_fault('grade_code')),
        'contract_type': ('contract_type_name is not null', listed_fault('contract_type_name')),
        'leaving_reason': ('leaving_reason_name is not null', listed_fault('leaving_reason_name')),
    }) }}

    union all

    {{ column_checks('absences', 'raw_itrent.absence', "month_end_date || '|' || absence_reference", {
        'working_days_lost': ('source_working_days_lost is not null',
            "case when day_count > 0 and source_working_days_lost > day_count then 'HRP04' end"),
        'last_day': ('last_date is not null', "case when day_count < 1 then 'HRP05' end"),
        'absence_type': ('absence_type_name is not null', listed_fault('absence_type_name')),
        'absence_reason': ('absence_reason_name is not null', listed_fault('absence_reason_name')),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
