{# Key for a combination of columns; null only if every column is null. A bigint keeps joins and Power BI relationships small. #}
{% macro surrogate_key(columns) -%}
  case when coalesce({% for column in columns %}{{ column }}::text{{ ', ' if not loop.last }}{% endfor %}) is not null then
    ('x' || left(md5(concat_ws('|'{% for column in columns %}, coalesce({{ column }}::text, '')
    {%- endfor %})), 16))::bit(64)::bigint
  end
{%- endmacro %}
