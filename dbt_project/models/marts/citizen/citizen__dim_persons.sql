with

dim_persons as (

    select * from {{ ref('dim_persons') }}

),

generalised as (

    select
        *,
        date_of_death is not null as is_deceased,
        extract(year from birth_month)::integer / 5 * 5 as first_birth_year
    from dim_persons
    where is_current

),

-- by restriction, so that the copies for row scopes are k-anonymous too
counted as (

    {{ with_withheld_attributes(
        'generalised', ['census_ethnic_group', 'first_birth_year', 'is_deceased', 'sex_code', 'restriction']
    ) }}

),

final as (

    select
        {{ person_key('citizen', 'person_id') }} as person_key,
        case when withheld_attributes < 4 then sex_code end as sex_code,
        case when withheld_attributes > 0 then 'Withheld' else census_ethnic_group end as census_ethnic_group,
        restriction,
        system_count,
        is_birth_month_in_doubt,
        case
            when withheld_attributes > 1 then 'Withheld'
            else first_birth_year || ' to ' || first_birth_year + 4
        end as birth_years,
        case when withheld_attributes < 3 then is_deceased end as is_deceased
    from counted

)

select * from final
