{# A value of a source contract as a SQL text literal; null where the contract has none. #}
{% macro text_literal(value) -%}
    {{ 'null' if value is none else "'" ~ (value | string | replace("'", "''")) ~ "'" }}::text
{%- endmacro %}

{# A select of all source tables that have a schedule (the tables of source contracts and the crosswalk of persons) with
   their config.meta and the publish sets and report readers that depend on them. It has no row while dbt parses, before the
   graph is known. #}
{% macro contracted_tables() -%}
    {%- set texts = [
        'asset_name', 'system_name', 'system_description', 'table_name', 'asset_description', 'location_kind',
        'information_asset_owner', 'data_owner', 'purpose', 'lawful_basis', 'special_category_basis', 'retention',
        'retained_from', 'sharing', 'load_mode', 'schedule', 'time_zone', 'publish_sets', 'report_readers'
    ] -%}
    {%- set classes = ['none', 'personal', 'special_category', 'identifier'] -%}
    select
    {%- for name in texts %}
        null::text as {{ name }},
    {%- endfor %}
    {%- for class in classes %}
        0 as {{ class }}_column_count{{ ',' if not loop.last }}
    {%- endfor %}
    where false
    {%- if execute %}
    {%- set sets, readers = {}, {} %}
    {%- for publish_set, models in publish_set_models(graph.nodes.values()).items() %}
        {%- for unique_id in with_upstream(models) %}{% do sets.setdefault(unique_id, []).append(publish_set) %}{% endfor %}
    {%- endfor %}
    {%- for exposure in graph.exposures.values() %}
        {%- set meta = exposure.config.meta %}
        {%- for unique_id in with_upstream(exposure.depends_on.nodes) %}
            {%- do readers.setdefault(unique_id, []).append((meta.feed or meta).reader) %}
        {%- endfor %}
    {%- endfor %}
    {%- for source in graph.sources.values() | sort(attribute='unique_id') if source.config.meta.schedule %}
        {%- set meta = source.config.meta %}
        {%- set privacy = [] %}
        {%- for column in source.columns.values() %}{% do privacy.append(column.config.meta.privacy) %}{% endfor %}
        {%- set contract = {
            'asset_name': source.source_name ~ '.' ~ source.name,
            'system_name': source.source_name | replace('raw_', '', 1),
            'system_description': source.source_description,
            'table_name': source.name,
            'asset_description': source.description,
            'location_kind': meta.kind,
            'load_mode': meta.load,
            'special_category_basis': meta.special_category_basis if 'special_category' in privacy else none,
            'publish_sets': sets.get(source.unique_id, []) | sort | join(', ') or none,
            'report_readers': readers.get(source.unique_id, []) | unique | sort | join('; ') or none,
        } %}
    union all
    select
        {%- for name in texts %}
        {{ text_literal(contract[name] if name in contract else meta.get(name)) }},
        {%- endfor %}
        {%- for class in classes %}
        {{ privacy | select('equalto', class) | list | length }}{{ ',' if not loop.last }}
        {%- endfor %}
    {%- endfor %}
    {%- endif %}
{%- endmacro %}
