with

persons as (

    select * from {{ ref('stg_mosaic__persons') }}

),

mosaic_ethnicities as (

    select * from {{ ref('mosaic_ethnicities') }}

),

checked as (

    select
        *,
        coalesce(birth_month = date_trunc('month', registered_date)::date, false) as is_birth_date_in_doubt
    from persons

),

final as (

    select
        checked.person_token,
        {{ person_key('adult_care', 'checked.person_token') }} as person_key,
        {{ person_key('quality', 'checked.person_token') }}::text as finding_record_key,
        checked.gender_code,
        mosaic_ethnicities.ethnicity_name,
        coalesce(mosaic_ethnicities.ethnic_group, 'Not known') as ethnic_group,
        case when checked.is_restricted then 'restricted' else 'open' end as restriction,
        checked.is_birth_date_in_doubt,
        case when not checked.is_birth_date_in_doubt then checked.birth_month end as birth_month,
        checked.date_of_death,
        checked.registered_date
    from checked
    left join mosaic_ethnicities
        on checked.full_ethnicity_code = mosaic_ethnicities.full_ethnicity_code

)

select * from final
