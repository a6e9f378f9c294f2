{# A select of the rule violations of a staging model's records, with the number of values without a violation. `checks` is
   {raw column: (SQL condition that the column has a value, SQL expression for the code of the broken rule or null)}. For
   an identifier with `<name>_token` and `<name>_fault` in staging, it is {raw column: name}. A code that ends in > and a
   column name gives the column to which the loader moved the value. One row per column and record that breaks a rule, by
   `key`, and one row per column for all other values. #}
{% macro column_checks(model, raw_table, key, checks) -%}
    {% for column, check in checks.items() %}
        {%- if check is string -%}
            {# a value with an empty canonical form has a fault and no token #}
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

{# A select of the rule results of all systems. The systems are listed because dbt must know the inputs of a model when it
   parses the file, before the graph exists. A system of the graph that is not listed is an error. #}
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
