with

persons as (

    select * from {{ ref('stg_liquidlogic__persons') }}

),

merged as (

    select *
    from persons
    where merged_at is not null

),

surviving as (

    select *
    from persons
    where merged_at is null

),

-- the source does not state the record that survived a merger: it has the same number, or the same name and birth date
candidates as (

    select
        merged.person_token,
        surviving.person_token as child_token
    from merged
    inner join surviving
        on merged.nhs_number_token = surviving.nhs_number_token

    union

    select
        merged.person_token,
        surviving.person_token as child_token
    from merged
    inner join surviving
        on merged.upn_token = surviving.upn_token

    union

    select
        merged.person_token,
        surviving.person_token as child_token
    from merged
    inner join surviving
        on
            merged.forename_token = surviving.forename_token
            and merged.surname_token = surviving.surname_token
            and merged.birth_date_token = surviving.birth_date_token

),

matched as (

    select
        person_token,
        min(child_token) as child_token
    from candidates
    group by person_token
    having count(*) = 1

),

paired as (

    select
        persons.person_token,
        coalesce(matched.child_token, persons.person_token) as child_token,
        persons.merged_at is not null as is_merged
    from persons
    left join matched
        on persons.person_token = matched.person_token

),

final as (

    select
        person_token,
        child_token,
        {{ person_key('children', 'child_token') }} as child_key,
        {{ person_key('quality', 'person_token') }}::text as finding_record_key,
        is_merged
    from paired

)

select * from final
