{# Age in whole years on the last day of a month, from the first day of the month of birth; null before birth. On another day
   it would be a year too high until the birthday: the contract's `age` gives the age on the day of an event. #}
{% macro child_age(birth_month, day) -%}
    case when {{ birth_month }} <= {{ day }} then extract(year from age({{ day }}, {{ birth_month }}))::integer end
{%- endmacro %}
