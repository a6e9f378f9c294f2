with

dim_children as (

    select * from {{ ref('dim_children') }}

),

final as (

    select
        child_key,
        sex_code,
        ethnicity_name,
        ethnic_group,
        district_code,
        district_name,
        is_birth_date_estimated,
        is_unborn
    from dim_children

)

select * from final
