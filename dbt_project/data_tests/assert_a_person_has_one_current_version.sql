with

versions as (

    select
        person_id,
        count(*) as version_count
    from {{ ref('dim_persons') }}
    where is_current
    group by person_id

),

people as (

    select distinct person_id
    from {{ ref('bridge_persons_records') }}
    where is_current

)

select
    versions.person_id,
    people.person_id as person_id_with_records
from versions
full join people
    on versions.person_id = people.person_id
where versions.version_count is distinct from 1 or people.person_id is null
