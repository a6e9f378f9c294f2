{# What is wrong with a staging model's records, and how many values were looked at, by columns: `checks` is {raw column:
   (whether it has a value, code of the rule that the value breaks or null)}. One row per record and column that breaks a
   rule, by `key`; one with the number of all others per column. #}
{% macro column_checks(model, raw_table, key, checks) -%}
    {% for column, (is_given, rule_code) in checks.items() %}
        select
            '{{ raw_table }}' as raw_table,
            '{{ column }}' as column_name,
            case when {{ rule_code }} is not null then {{ key }}::text end as record_key,
            {{ rule_code }} as rule_code,
            count(*) as value_count
        from {{ model }}
        where {{ is_given }}
        group by record_key, rule_code
        {{ 'union all' if not loop.last }}
    {% endfor %}
{%- endmacro %}
