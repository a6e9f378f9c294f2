{# What is wrong with a staging model's records, and how many values were looked at: one row per column of `checks`
   ({raw column: (whether it has a value, code of the rule that the value breaks or null)}) and record, by `key`. #}
{% macro column_checks(model, raw_table, key, checks) -%}
    {% for column, (is_given, rule_code) in checks.items() %}
        select
            '{{ raw_table }}' as raw_table,
            '{{ column }}' as column_name,
            {{ key }}::text as record_key,
            {{ rule_code }} as rule_code
        from {{ model }}
        where {{ is_given }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
{%- endmacro %}
