with

stg_itrent__employees as (

    select * from {{ ref('stg_itrent__employees') }}

),

int_posts_conformed as (

    select * from {{ ref('int_posts_conformed') }}

),

pupil_ethnicities as (

    select * from {{ ref('pupil_ethnicities') }}

),

latest as (

    -- for an employee with several posts in the latest month, the details of any of them
    select distinct on (stg_itrent__employees.employee_token)
        stg_itrent__employees.employee_token,
        coalesce(pupil_ethnicities.ethnicity_group, 'Not known') as ethnic_group,
        coalesce(stg_itrent__employees.is_disabled, false) as is_disabled
    from int_posts_conformed
    inner join stg_itrent__employees
        on
            int_posts_conformed.month_end_date = stg_itrent__employees.month_end_date
            and int_posts_conformed.position_reference = stg_itrent__employees.position_reference
    left join pupil_ethnicities
        on stg_itrent__employees.ethnicity_code = pupil_ethnicities.ethnicity_code
    where not int_posts_conformed.is_still_live_after_leaving
    order by
        stg_itrent__employees.employee_token asc,
        stg_itrent__employees.month_end_date desc,
        pupil_ethnicities.ethnicity_name asc nulls last,
        stg_itrent__employees.is_disabled desc nulls last

),

counted as (

    {{ with_withheld_attributes('latest', ['ethnic_group', 'is_disabled']) }}

),

final as (

    select
        {{ person_key('workforce', 'employee_token') }} as person_key,
        case when withheld_attributes > 0 then 'Withheld' else ethnic_group end as ethnic_group,
        case when withheld_attributes < 2 then is_disabled end as is_disabled
    from counted

)

select * from final
