-- The only table that links the keys of a person in several publish sets. Readers of publish sets cannot read it.
{% set systems = {
    'adult_care': 'raw_mosaic', 'children': 'raw_liquidlogic', 'customer': 'raw_dynamics', 'education': 'raw_capita',
    'libraries': 'raw_koha'
} %}

with

bridge_persons_records as (

    select * from {{ ref('bridge_persons_records') }}

),

final as (

    {% for publish_set, system in systems.items() %}
        select
            person_id,
            '{{ publish_set }}' as publish_set,
            {{ person_key(publish_set, 'person_token') }} as set_person_key
        from bridge_persons_records
        where is_current and system_name = '{{ system }}'
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from final
