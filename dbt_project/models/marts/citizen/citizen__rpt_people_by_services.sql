{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'figures': {
        'People': {'count': 'person_count'},
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

citizen__fct_involvements as (

    select * from {{ ref('citizen__fct_involvements') }}

),

people as (

    select
        person_key,
        string_agg(distinct service_area_name, ' + ' order by service_area_name) as service_areas,
        count(distinct service_area_name) as service_area_count
    from citizen__fct_involvements
    where is_open
    group by person_key

),

counted as (

    select
        service_areas,
        service_area_count,
        count(*) as person_count
    from people
    group by service_areas, service_area_count

),

disclosed as (

    {{ disclosed('counted', disclosure) }}

),

final as (

    select
        service_area_count::integer as "Number of services",
        service_areas as "Combination of services",
        "People",
        "Suppressed figures"
    from disclosed

)

select * from final
