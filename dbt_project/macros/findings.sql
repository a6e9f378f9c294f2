{# What is wrong with a staging model's records, and how many values were looked at, by columns: `checks` is {raw column:
   (whether it has a value, code of the rule that the value breaks or null)}, or, where staging has `<name>_token` and
   `<name>_fault` of an identifier, {raw column: name}. A code that ends in > and a column says where the loader has moved
   the value. One row per record and column that breaks a rule, by `key`; one with the number of all others per column. #}
{% macro column_checks(model, raw_table, key, checks) -%}
    {% for column, check in checks.items() %}
        {%- if check is string -%}
            {# a value of which nothing is left in its one spelling has a fault and no token #}
            {%- set is_given = 'coalesce(' ~ check ~ '_token, ' ~ check ~ '_fault) is not null' -%}
            {%- set rule_code = check ~ '_fault' -%}
        {%- else -%}
            {%- set is_given, rule_code = check -%}
        {%- endif %}
        select
            '{{ raw_table }}' as raw_table,
            '{{ column }}' as column_name,
            case when {{ rule_code }} is not null then {{ key }}::text end as record_key,
            split_part({{ rule_code }}, '>', 1) as rule_code,
            nullif(split_part({{ rule_code }}, '>', 2), '') as moved_to_column,
            count(*) as value_count
        from {{ model }}
        where {{ is_given }}
        group by 3, 4, 5
        {{ 'union all' if not loop.last }}
    {% endfor %}
{%- endmacro %}

{# The rule results of all systems, as a select. dbt has to know what a model reads when it parses the file, before there is
   a graph; so the systems are listed, and a system of the graph that is not listed is an error. #}
{% macro union_rule_results(systems) -%}
    {%- if execute %}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name.endswith('__rule_results') %}
            {%- if node.name[4:-14] not in systems %}
                {{- exceptions.raise_compiler_error('add ' ~ node.name[4:-14] ~ ' to the systems of int_rule_results_unioned') }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {%- for system in systems %}
    select * from {{ ref('int_' ~ system ~ '__rule_results') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
