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

citizen__fct_service_combinations as (

    select * from {{ ref('citizen__fct_service_combinations') }}

),

counted as (

    select
        service_areas,
        service_area_count,
        count(*) as person_count
    from citizen__fct_service_combinations
    group by service_areas, service_area_count

),

disclosed as (

    {{ disclosed('counted', disclosure) }}

),

final as (

    select
        service_area_count as "Number of services",
        service_areas as "Combination of services",
        "People",
        "Suppressed figures"
    from disclosed

)

select * from final
