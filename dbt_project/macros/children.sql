{# Whole years of age on a day, counted from the first day of the month of birth; null before birth. #}
{% macro child_age(birth_month, day) -%}
    case when {{ birth_month }} <= {{ day }} then extract(year from age({{ day }}, {{ birth_month }}))::integer end
{%- endmacro %}

{# A count of people that may be told: null, suppressed, where it is under five. #}
{% macro told_count(count) -%}
    case when {{ count }} >= 5 then {{ count }} end
{%- endmacro %}
