{# Age group of the Client Level Data on the last day of a month, from the first day of the month of birth. #}
{% macro age_group(birth_month, day) -%}
    case
        when {{ birth_month }} is null or {{ day }} is null then 'Not known'
        when extract(year from age({{ day }}, {{ birth_month }})) < 18 then 'Under 18'
        when extract(year from age({{ day }}, {{ birth_month }})) < 65 then '18 to 64'
        else '65 and over'
    end
{%- endmacro %}

{# Age group of the Client Level Data of a person whose age in completed years is known, unless the birth date is in doubt. #}
{% macro age_group_of(age_years, birth_month) -%}
    case
        when {{ age_years }} is null or {{ birth_month }} is null then 'Not known'
        when {{ age_years }} < 18 then 'Under 18'
        when {{ age_years }} < 65 then '18 to 64'
        else '65 and over'
    end
{%- endmacro %}
