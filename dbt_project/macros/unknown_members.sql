{# Keys of the members of a dimension that stand for no record: "Not known", and "Redacted" where the record is withheld. A
   fact has one of these keys and never an empty one, so that a join with a dimension loses no row (decision 93). #}
{% macro unknown_key() -%} -1 {%- endmacro %}
{% macro withheld_key() -%} -2 {%- endmacro %}

{# The code of the unknown member, where facts refer to a dimension by a code. #}
{% macro unknown_code() -%} 'Not known' {%- endmacro %}

{# A key of a fact, or the key of the unknown member. #}
{% macro known_or_unknown(key) -%}
    coalesce({{ key }}, {{ unknown_key() }})
{%- endmacro %}

{# First day of the unknown member of a dimension with versions: before every day of a calendar. #}
{% macro unknown_from_date() -%} date '1900-01-01' {%- endmacro %}
