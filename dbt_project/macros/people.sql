{# Key of a person (or of a person's post) in one publish set, made from the token; null without a token. Each publish set
   has another key, so that readers of two sets cannot join them by person. #}
{% macro person_key(publish_set, token) -%}
    case when {{ token }} is not null then {{ surrogate_key(["'" ~ publish_set ~ "'", token]) }} end
{%- endmacro %}

{# Value of a column in the most trusted record of a person that has a value, or that has a value in the column `of`. #}
{% macro surviving(column, of=none) -%}
    (array_agg({{ column }} order by trust_order) filter (where {{ of or column }} is not null))[1]
{%- endmacro %}
