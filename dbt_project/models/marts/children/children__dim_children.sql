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

    union all

    select
        {{ unknown_key() }} as child_key,
        null as sex_code,
        {{ unknown_code() }} as ethnicity_name,
        {{ unknown_code() }} as ethnic_group,
        null as district_code,
        null as district_name,
        null as is_birth_date_estimated,
        null as is_unborn

)

select * from final
