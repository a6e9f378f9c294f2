with

persons_history as (

    select * from {{ ref('persons_history') }}

),

int_persons_merged as (

    select * from {{ ref('int_persons_merged') }}

),

final as (

    select
        {{ surrogate_key(['persons_history.person_id', 'persons_history.dbt_valid_from']) }} as person_version_key,
        persons_history.person_id,
        int_persons_merged.nhs_number_token,
        int_persons_merged.upn_token,
        persons_history.sex_code,
        persons_history.ethnicity_name,
        persons_history.census_ethnic_group,
        persons_history.restriction,
        int_persons_merged.birth_month_system_name,
        int_persons_merged.record_count,
        int_persons_merged.system_count,
        coalesce(int_persons_merged.is_birth_month_in_doubt, false) as is_birth_month_in_doubt,
        persons_history.dbt_valid_to is null as is_current,
        persons_history.birth_month,
        persons_history.date_of_death,
        persons_history.dbt_valid_from at time zone 'UTC' as valid_from,
        persons_history.dbt_valid_to at time zone 'UTC' as valid_to
    from persons_history
    left join int_persons_merged
        on persons_history.person_id = int_persons_merged.person_id

)

select * from final
