with

services as (

    select * from {{ ref('services') }}

),

service_responsibilities as (

    select * from {{ ref('service_responsibilities') }}

),

dim_organisation_units as (

    select * from {{ ref('dim_organisation_units') }}

),

dim_cost_centres as (

    select * from {{ ref('dim_cost_centres') }}

),

services_with_an_entry as (

    select distinct service_code
    from service_responsibilities

),

described as (

    select
        services.service_code,
        services.service_name,
        services.parent_service_code,
        parents.service_name as parent_service_name,
        services.lgsl_code,
        services.lgsl_name,
        coalesce(services.sercop_division_name, parents.sercop_division_name) as sercop_division_name,
        -- a part of a service without an entry of its own has the entry of its parent
        coalesce(services_with_an_entry.service_code, services.parent_service_code) as responsible_service_code
    from services
    left join services_with_an_entry
        on services.service_code = services_with_an_entry.service_code
    left join services as parents
        on services.parent_service_code = parents.service_code

),

responsibilities as (

    select
        described.service_code,
        service_responsibilities.unit_code,
        service_responsibilities.paying_body_uri,
        service_responsibilities.cost_centre_code,
        service_responsibilities.valid_from_date as responsible_from_date,
        service_responsibilities.valid_to_date as responsible_to_date
    from described
    inner join service_responsibilities
        on described.responsible_service_code = service_responsibilities.service_code

),

unit_changes as (

    select
        unit_code,
        valid_from_date as change_date
    from dim_organisation_units

    union distinct

    select
        unit_code,
        valid_to_date + 1 as change_date
    from dim_organisation_units
    where valid_to_date is not null

),

-- a version begins with a new entry, with a change of the unit, and on the day after the last version of the unit
beginnings as (

    select
        service_code,
        responsible_from_date,
        responsible_from_date as valid_from_date
    from responsibilities

    union distinct

    select
        responsibilities.service_code,
        responsibilities.responsible_from_date,
        unit_changes.change_date as valid_from_date
    from responsibilities
    inner join unit_changes
        on
            responsibilities.unit_code = unit_changes.unit_code
            and responsibilities.responsible_from_date < unit_changes.change_date
            and unit_changes.change_date <= coalesce(responsibilities.responsible_to_date, 'infinity')

),

bounded as (

    select
        responsibilities.*,
        beginnings.valid_from_date,
        coalesce(
            lead(beginnings.valid_from_date) over (
                partition by beginnings.service_code, beginnings.responsible_from_date
                order by beginnings.valid_from_date
            ) - 1,
            responsibilities.responsible_to_date
        ) as valid_to_date
    from beginnings
    inner join responsibilities
        on
            beginnings.service_code = responsibilities.service_code
            and beginnings.responsible_from_date = responsibilities.responsible_from_date

),

final as (

    select
        {{ surrogate_key(['described.service_code', 'bounded.valid_from_date']) }} as service_key,
        described.service_code,
        described.service_name,
        described.parent_service_code,
        described.parent_service_name,
        described.lgsl_code,
        described.lgsl_name,
        described.sercop_division_name,
        dim_organisation_units.organisation_unit_key,
        bounded.unit_code,
        dim_organisation_units.unit_name,
        dim_organisation_units.directorate_name,
        dim_cost_centres.cost_centre_key,
        bounded.cost_centre_code,
        dim_cost_centres.cost_centre_name,
        bounded.valid_from_date,
        bounded.valid_to_date,
        bounded.valid_to_date is null as is_current
    from bounded
    inner join described
        on bounded.service_code = described.service_code
    left join dim_organisation_units
        on
            bounded.unit_code = dim_organisation_units.unit_code
            and {{ is_in_force('dim_organisation_units', 'bounded.valid_from_date') }}
    left join dim_cost_centres
        on
            bounded.paying_body_uri = dim_cost_centres.paying_body_uri
            and bounded.cost_centre_code = dim_cost_centres.cost_centre_code

    union all

    select
        {{ unknown_key() }} as service_key,
        {{ unknown_code() }} as service_code,
        {{ unknown_code() }} as service_name,
        null as parent_service_code,
        null as parent_service_name,
        null as lgsl_code,
        null as lgsl_name,
        null as sercop_division_name,
        null as organisation_unit_key,
        null as unit_code,
        null as unit_name,
        null as directorate_name,
        null as cost_centre_key,
        null as cost_centre_code,
        null as cost_centre_name,
        {{ unknown_from_date() }} as valid_from_date,
        null as valid_to_date,
        true as is_current

)

select * from final
