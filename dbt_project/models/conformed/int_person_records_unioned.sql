-- Contacts and reporters have no row: their only personal detail is the name, which stays in the vault.
with

care_people as (

    select
        stg_mosaic__persons.nhs_number_token,
        int_care_people_conformed.*
    from {{ ref('stg_mosaic__persons') }} as stg_mosaic__persons
    inner join {{ ref('int_care_people_conformed') }} as int_care_people_conformed
        on stg_mosaic__persons.person_token = int_care_people_conformed.person_token

),

children as (

    select * from {{ ref('stg_liquidlogic__persons') }}

),

pupils as (

    select * from {{ ref('stg_capita__pupils') }}

),

returned as (

    select * from {{ ref('stg_ssda903__headers') }}

),

borrowers as (

    select * from {{ ref('stg_koha__borrowers') }}

),

pupil_ethnicities as (

    select * from {{ ref('pupil_ethnicities') }}

),

census_ethnic_groups as (

    select * from {{ ref('census_ethnic_groups') }}

),

unioned as (

    select
        'raw_mosaic' as system_name,
        person_token,
        nhs_number_token,
        null::text as upn_token,
        gender_code as sex_code,
        null::text as ethnicity_code,
        ethnicity_name,
        ethnic_group,
        restriction,
        birth_month,
        date_of_death
    from care_people

    union all

    select
        'raw_liquidlogic' as system_name,
        person_token,
        nhs_number_token,
        upn_token,
        sex_code,
        ethnicity_code,
        null::text as ethnicity_name,
        null::text as ethnic_group,
        'restricted' as restriction,  -- other services must not see who is known to children's social care
        birth_month,
        death_date as date_of_death
    from children

    union all

    select
        'raw_capita' as system_name,
        upn_token as person_token,
        null::text as nhs_number_token,
        upn_token,
        sex_code,
        ethnicity_code,
        null::text as ethnicity_name,
        null::text as ethnic_group,
        'open' as restriction,
        birth_month,
        null::date as date_of_death
    from pupils
    where upn_token is not null

    union all

    select
        'raw_ssda903' as system_name,
        child_token as person_token,
        null::text as nhs_number_token,
        upn_token,
        case when sex_code in ('1', 'M') then 'M' when sex_code in ('2', 'F') then 'F' end as sex_code,
        ethnicity_code,
        null::text as ethnicity_name,
        null::text as ethnic_group,
        'restricted' as restriction,
        birth_month,
        null::date as date_of_death
    from returned

    union all

    select
        'raw_koha' as system_name,
        borrower_token as person_token,
        null::text as nhs_number_token,
        null::text as upn_token,
        null::text as sex_code,
        null::text as ethnicity_code,
        null::text as ethnicity_name,
        null::text as ethnic_group,
        'open' as restriction,
        birth_month,
        null::date as date_of_death
    from borrowers

),

final as (

    select distinct on (unioned.system_name, unioned.person_token)
        unioned.system_name,
        unioned.person_token,
        unioned.nhs_number_token,
        unioned.upn_token,
        unioned.sex_code,
        coalesce(unioned.ethnicity_name, pupil_ethnicities.ethnicity_name) as ethnicity_name,
        census_ethnic_groups.census_ethnic_group,
        unioned.restriction,
        unioned.birth_month,
        unioned.date_of_death
    from unioned
    left join pupil_ethnicities
        on unioned.ethnicity_code = pupil_ethnicities.ethnicity_code
    left join census_ethnic_groups
        on coalesce(unioned.ethnic_group, pupil_ethnicities.ethnicity_group) = census_ethnic_groups.source_ethnic_group
    order by unioned.system_name, unioned.person_token, unioned.birth_month

)

select * from final
