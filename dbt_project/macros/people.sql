{# The key of a person in one publish set, from the token of the person's number, or null: another in each set, so that
   readers of two sets cannot join them by it. #}
{% macro person_key(publish_set, token) -%}
    case when {{ token }} is not null then {{ surrogate_key(["'" ~ publish_set ~ "'", token]) }} end
{%- endmacro %}

{# A number of people, or what is told of so many, where they are five or more: of fewer somebody may know who they are. #}
{% macro unless_few(people, value=none) -%}
    case when {{ people }} >= 5 then {{ value or people }} end
{%- endmacro %}

{# The same of a part of them, where the others are five or more as well: whoever sees the whole knows how many they are. #}
{% macro unless_few_or_few_others(part, whole, value=none) -%}
    {{ unless_few('least(' ~ part ~ ', ' ~ whole ~ ' - ' ~ part ~ ')', value or part) }}
{%- endmacro %}
