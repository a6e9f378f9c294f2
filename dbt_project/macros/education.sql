{# Academic year of a day, from September to August, for example 2025/26. #}
{% macro academic_year(column) -%}
    to_char({{ column }} - interval '8 months', 'YYYY')
    || '/' || to_char({{ column }} + interval '4 months', 'YY')
{%- endmacro %}
