{# Key of a person (or of a person's post) in one publish set, made from the token; null without a token. Each publish set
   has another key, so that readers of two sets cannot join them by person. #}
{% macro person_key(publish_set, token) -%}
    case when {{ token }} is not null then {{ surrogate_key(["'" ~ publish_set ~ "'", token]) }} end
{%- endmacro %}

{# Value of a column in the most trusted record of a person that has a value, or that has a value in the column `of`. #}
{% macro surviving(column, of=none) -%}
    (array_agg({{ column }} order by trust_order) filter (where {{ of or column }} is not null))[1]
{%- endmacro %}

{# The relation, which has a row per person, with the column `withheld_attributes`: how many of the attributes to withhold in
   a row, in the given order, so that at least `people` persons share what it shows. All, where even that is not enough. #}
{% macro with_withheld_attributes(relation, attributes, people=5) -%}
    {%- set steps = attributes | length -%}
    select
        *,
        case {% for step in range(steps) %}when persons_{{ step }} >= {{ people }} then {{ step }} {% endfor %}else {{ steps }} end
            as withheld_attributes
    from
        {%- for step in range(steps) | reverse %} (
        select
            *,
            count(*) over (
                partition by {{ attributes[step:] | join(', ') }}
                {%- for earlier in range(step) %}, persons_{{ earlier }} < {{ people }}{% endfor %}
            ) as persons_{{ step }}
        from
        {%- endfor %} {{ relation }}
        {%- for step in range(steps) %} ) as step_{{ step }}{% endfor %}
{%- endmacro %}
