-- The checks of every system; a new system's are added here.
{% set systems = [
    'capita',
    'confirm',
    'dynamics',
    'erp',
    'fixmystreet',
    'itrent',
    'koha',
    'liquidlogic',
    'mosaic',
    'procurement',
    'regulatory',
    'ssda903',
] %}

with

{% for system in systems %}
    {{ system }} as (

        select * from {{ ref('int_' ~ system ~ '_columns_checked') }}

    ),
{% endfor %}

final as (

    {% for system in systems %}
        select * from {{ system }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from final
