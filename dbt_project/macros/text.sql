{# Text without surrounding white space (no-break spaces too); nothing at all becomes null. #}
{% macro clean_text(column) -%}
    nullif(btrim({{ column }}, e' \t\r\n\u00a0'), '')
{%- endmacro %}

{# A code, where systems write in words that there is none. #}
{% macro clean_code(column) -%}
    nullif(nullif(nullif(nullif({{ clean_text(column) }}, 'NA'), 'N/A'), 'n/a'), '-')
{%- endmacro %}
