select services.service_id
from {{ ref('int_care_services_conformed') }} as services
inner join {{ ref('int_care_people_conformed') }} as people
    on services.person_key = people.person_key
where
    people.date_of_death is not null
    and coalesce(services.end_date, 'infinity') > greatest(people.date_of_death, services.start_date)
