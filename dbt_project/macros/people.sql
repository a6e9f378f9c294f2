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

{# Number of people for readers who are not in the service: 0, null (suppressed) where it is 1 to 4, otherwise rounded to 5.
   Rounding hides who joined or left between two months, and a suppressed number that could be subtracted from a total. #}
{% macro rounded_few(people) -%}
    case when {{ people }} = 0 then 0 when {{ people }} >= 5 then 5 * round({{ people }} / 5.0) end::bigint
{%- endmacro %}

{# A mean or an amount about people, rounded to a multiple of `base`; null where there are fewer than ten people. #}
{% macro rounded_amount(people, value, base) -%}
    case when {{ people }} >= 10 then {{ base }} * round({{ value }} / {{ base }}) end
{%- endmacro %}

{# True if a rounded total, less the rounded parts that are shown, would reveal that every suppressed part is 1, or 4. The
   arguments are the total, the sum of the shown parts as rounded, their number, and the number of suppressed parts. #}
{% macro reveals_suppressed(total, shown_sum, shown_count, suppressed_count) -%}
    (
        {{ suppressed_count }} > 0
        and (
            5 * round({{ total }} / 5.0) - 2 - {{ shown_sum }} - 2 * {{ shown_count }} >= 4 * {{ suppressed_count }}
            or 5 * round({{ total }} / 5.0) + 2 - {{ shown_sum }} + 2 * {{ shown_count }} <= {{ suppressed_count }}
        )
    )
{%- endmacro %}

{# Value of a column in the most trusted record of a person that has a value, or that has a value in the column `of`. #}
{% macro surviving(column, of=none) -%}
    (array_agg({{ column }} order by trust_order) filter (where {{ of or column }} is not null))[1]
{%- endmacro %}
