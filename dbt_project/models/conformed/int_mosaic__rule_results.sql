with

persons as (

    select
        persons.*,
        people.finding_record_key,
        people.is_birth_date_in_doubt,
        people.ethnicity_name
    from {{ ref('stg_mosaic__persons') }} as persons
    inner join {{ ref('int_care_people_conformed') }} as people
        on persons.person_token = people.person_token

),

addresses as (

    select * from {{ ref('stg_mosaic__addresses') }}

),

telephone_numbers as (

    select * from {{ ref('stg_mosaic__telephone_numbers') }}

),

assessments as (

    select
        assessments.*,
        coalesce(assessments.start_date < requests.request_date, false) as is_before_request
    from {{ ref('stg_mosaic__assessments') }} as assessments
    left join {{ ref('stg_mosaic__requests') }} as requests
        on assessments.request_id = requests.request_id

),

requests as (

    select
        requests.*,
        int_care_as_at_dated.as_at_date
    from {{ ref('stg_mosaic__requests') }} as requests
    cross join {{ ref('int_care_as_at_dated') }} as int_care_as_at_dated

),

reviews as (

    select * from {{ ref('stg_mosaic__reviews') }}

),

services as (

    select
        services.*,
        conformed.is_open_after_death,
        conformed.is_cost_in_doubt,
        conformed.is_support_reason_in_doubt,
        organisations.organisation_id is not null as is_provider_on_register
    from {{ ref('stg_mosaic__services') }} as services
    inner join {{ ref('int_care_services_conformed') }} as conformed
        on services.service_id = conformed.service_id
    left join {{ ref('stg_mosaic__organisations') }} as organisations
        on services.provider_name_raw = organisations.organisation_name

),

unioned as (

    {{ column_checks('persons', 'raw_mosaic.dm_persons', 'finding_record_key', {
        'nhs_id': 'nhs_number',
        'full_name': 'full_name',
        'first_name': 'first_name',
        'last_name': 'last_name',
        'date_of_birth': (
            'coalesce(date_of_birth_token, date_of_birth_fault) is not null',
            "coalesce(date_of_birth_fault, case when is_birth_date_in_doubt then 'ASC01' end)"
        ),
        'email_address': 'email',
        'gender': ('gender_code is not null', listed_fault('gender_code')),
        'full_ethnicity_code': (
            'full_ethnicity_code is not null', "case when ethnicity_name is null then 'ASC07' end"
        ),
    }) }}

    union all

    {{ column_checks('addresses', 'raw_mosaic.dm_addresses', 'ref_addresses_people_id', {
        'address': 'address',
        'post_code': 'postcode',
        'unique_id': 'uprn',
    }) }}

    union all

    {{ column_checks('telephone_numbers', 'raw_mosaic.dm_telephone_numbers', 'telephone_number_id', {
        'telephone_number': 'telephone',
    }) }}

    union all

    {{ column_checks('requests', 'raw_mosaic.dm_requests', 'request_id', {
        'route_of_access': ('route_of_access is not null', listed_fault('route_of_access')),
        'outcome': ('outcome is not null', listed_fault('outcome')),
        'request_date': date_check('request_date'),
    }) }}

    union all

    {{ column_checks('reviews', 'raw_mosaic.dm_reviews', 'review_id', {
        'review_reason': ('review_reason is not null', listed_fault('review_reason')),
        'outcome': ('outcome is not null', listed_fault('outcome')),
    }) }}

    union all

    {{ column_checks('assessments', 'raw_mosaic.dm_assessments', 'assessment_id', {
        'assessment_type': ('assessment_type is not null', listed_fault('assessment_type')),
        'outcome': ('outcome is not null', listed_fault('outcome')),
        'start_date': ('true', "case when is_before_request then 'ASC08' end"),
    }) }}

    union all

    {{ column_checks('services', 'raw_mosaic.dm_services', 'service_id', {
        'end_date': ('end_date is not null or is_open_after_death', "case when is_open_after_death then 'ASC02' end"),
        'service_type': ('service_type is not null', listed_fault('service_type')),
        'service_component': ('service_component is not null', listed_fault('service_component')),
        'delivery_mechanism': (
            "service_type = 'Long Term Support: Community' or delivery_mechanism = 'Other'",
            "case when delivery_mechanism is null then 'ASC03' when delivery_mechanism = 'Other' then 'COD01' end"
        ),
        'provider': ('provider_name_raw is not null', "case when not is_provider_on_register then 'ASC04' end"),
        'cost_frequency': (
            'cost_frequency is not null',
            "case when cost_frequency = 'Other' then 'COD01' when is_cost_in_doubt then 'ASC05' end"
        ),
        'primary_support_reason': (
            'primary_support_reason is not null', "case when is_support_reason_in_doubt then 'ASC06' end"
        ),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
