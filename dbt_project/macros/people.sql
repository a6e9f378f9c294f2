{# The key of a person (or of a person's post) in one publish set, from what stands for it in all of them, or null: another
   in each set, so that readers of two sets cannot join them by it. #}
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

{# Of the records of one person, the value (or what stands beside a value: `of`) of the most trusted one that has it. #}
{% macro surviving(column, of=none) -%}
    (array_agg({{ column }} order by trust_order) filter (where {{ of or column }} is not null))[1]
{%- endmacro %}
