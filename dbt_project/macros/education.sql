{# The academic year of a day, September to August, as 2025/26. #}
{% macro academic_year(column) -%}
    to_char({{ column }} - interval '8 months', 'YYYY')
    || '/' || to_char({{ column }} + interval '4 months', 'YY')
{%- endmacro %}

{# A share in a hundred, to one place; null where fewer than five people stand behind it. #}
{% macro percent_of(part, whole, people) -%}
    {{ unless_few(people, 'round(100.0 * ' ~ part ~ ' / nullif(' ~ whole ~ ', 0), 1)') }}::numeric(4, 1)
{%- endmacro %}
