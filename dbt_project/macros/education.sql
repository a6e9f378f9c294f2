{# Academic year of a day, from September to August, for example 2025/26. #}
{% macro academic_year(column) -%}
    to_char({{ column }} - interval '8 months', 'YYYY')
    || '/' || to_char({{ column }} + interval '4 months', 'YY')
{%- endmacro %}

{# Percentage to one decimal place; null where it describes fewer than five people. #}
{% macro percent_of(part, whole, people) -%}
    {{ unless_few(people, 'round(100.0 * ' ~ part ~ ' / nullif(' ~ whole ~ ', 0), 1)') }}::numeric(4, 1)
{%- endmacro %}
