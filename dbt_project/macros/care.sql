{# Age group of the Client Level Data on a day, from the first day of the month of birth. A birthday in the month of the day
   counts as past. #}
{% macro age_group(birth_month, day) -%}
    case
        when {{ birth_month }} is null or {{ day }} is null then 'Not known'
        when age({{ day }}, {{ birth_month }}) < interval '18 years' then 'Under 18'
        when age({{ day }}, {{ birth_month }}) < interval '65 years' then '18 to 64'
        else '65 and over'
    end
{%- endmacro %}
