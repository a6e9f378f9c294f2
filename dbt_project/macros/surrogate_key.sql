{# Key for a combination of columns; null only if every column is null. A bigint keeps joins and Power BI relationships
   small. Postgres writes a record with quotes around separators and empty texts, so two combinations that differ never
   give the same text: neither 'a|b', 'c' and 'a', 'b|c', nor null and ''. The hash has a secret, without which nobody finds
   the number of a record by hashing all numbers. #}
{% macro surrogate_key(columns) -%}
  case when coalesce({% for column in columns %}{{ column }}::text{{ ', ' if not loop.last }}{% endfor %}) is not null then
    ('x' || left(md5(row({{ key_secret() }}{% for column in columns %}, {{ column }}::text
    {%- endfor %})::text), 16))::bit(64)::bigint
  end
{%- endmacro %}

{# The secret of surrogate keys; a unit test that expects keys overrides it. #}
{% macro key_secret() -%} governance.key_secret() {%- endmacro %}

{# Key of a row without a key in its source: its content and its number among rows of equal content. The place of the row
   in a file is not in the key, because a file that is delivered again may be sorted in another way. #}
{% macro content_key(columns) -%}
  {{ surrogate_key(columns + ['row_number() over (partition by ' ~ columns | join(', ') ~ ')']) }}
{%- endmacro %}
