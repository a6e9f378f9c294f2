{# Age in whole years on a day, counted from the first day of the month of birth; null before birth. #}
{% macro child_age(birth_month, day) -%}
    case when {{ birth_month }} <= {{ day }} then extract(year from age({{ day }}, {{ birth_month }}))::integer end
{%- endmacro %}
