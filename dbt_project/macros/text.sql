{# Text without surrounding white space, including no-break spaces; empty text becomes null. #}
{% macro clean_text(column) -%}
    nullif(btrim({{ column }}, e' \t\r\n\u00a0'), '')
{%- endmacro %}

{# A code; null where the system writes NA, N/A or a hyphen for a missing code. #}
{% macro clean_code(column) -%}
    nullif(nullif(nullif(nullif({{ clean_text(column) }}, 'NA'), 'N/A'), 'n/a'), '-')
{%- endmacro %}
