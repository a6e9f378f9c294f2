with

dim_persons as (

    select * from {{ ref('dim_persons') }}

),

final as (

    select
        {{ person_key('citizen', 'person_id') }} as person_key,
        sex_code,
        census_ethnic_group,
        restriction,
        system_count,
        is_birth_month_in_doubt,
        birth_month,
        date_trunc('month', date_of_death)::date as death_month
    from dim_persons
    where is_current

)

select * from final
