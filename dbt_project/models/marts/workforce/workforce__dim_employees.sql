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

months as (

    -- for an employee with several posts in a month, the details of any of them
    select
        stg_itrent__employees.employee_token,
        stg_itrent__employees.month_end_date,
        min(pupil_ethnicities.ethnicity_name) as ethnicity_name,
        coalesce(bool_or(stg_itrent__employees.is_disabled), false) as is_disabled,
        min(stg_itrent__employees.birth_month_date) as birth_month
    from int_posts_conformed
    inner join stg_itrent__employees
        on
            int_posts_conformed.month_end_date = stg_itrent__employees.month_end_date
            and int_posts_conformed.position_reference = stg_itrent__employees.position_reference
    left join pupil_ethnicities
        on stg_itrent__employees.ethnicity_code = pupil_ethnicities.ethnicity_code
    where not int_posts_conformed.is_still_live_after_leaving
    group by stg_itrent__employees.employee_token, stg_itrent__employees.month_end_date

),

versions as (

    {{ versions_by_month('months', 'employee_token', ['ethnicity_name', 'is_disabled', 'birth_month']) }}

),

final as (

    select
        {{ surrogate_key(['employee_token', 'valid_from_date']) }} as employee_version_key,
        {{ person_key('workforce', 'employee_token') }} as person_key,
        coalesce(ethnicity_name, 'Not known') as ethnicity_name,
        is_disabled,
        is_current,
        valid_from_date,
        valid_to_date
    from versions

)

select * from final
