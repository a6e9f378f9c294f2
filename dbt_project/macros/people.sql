{# Key of a person (or of a person's post) in one publish set, made from the token; null without a token. Each publish set
   has another key, so that readers of two sets cannot join them by person. #}
{% macro person_key(publish_set, token) -%}
    case when {{ token }} is not null then {{ surrogate_key(["'" ~ publish_set ~ "'", token]) }} end
{%- endmacro %}

{# A number of people, or a `value` about them, if they are five or more; otherwise null, to prevent identification. #}
{% macro unless_few(people, value=none) -%}
    case when {{ people }} >= 5 then {{ value or people }} end
{%- endmacro %}

{# A `part` of a number of people, or a `value` about the part, if both the part and the rest are five or more; otherwise
   null, because a reader who sees the whole can calculate the rest. #}
{% macro unless_few_or_few_others(part, whole, value=none) -%}
    {{ unless_few('least(' ~ part ~ ', ' ~ whole ~ ' - ' ~ part ~ ')', value or part) }}
{%- endmacro %}

{# Value of a column in the most trusted record of a person that has a value, or that has a value in the column `of`. #}
{% macro surviving(column, of=none) -%}
    (array_agg({{ column }} order by trust_order) filter (where {{ of or column }} is not null))[1]
{%- endmacro %}
