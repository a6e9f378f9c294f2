with

int_pupils_conformed as (

    select * from {{ ref('int_pupils_conformed') }}

),

final as (

    select
        person_key,
        school_key,
        nc_year,
        sex_code,
        ethnicity_code,
        ethnicity_name,
        ethnicity_group,
        district_code,
        district_name,
        is_on_roll,
        has_ehcp
    from int_pupils_conformed

)

select * from final
