{# Where a model is built: a mart in its publish set's hidden schema, everything else in its layer's schema.
   With `--vars 'published: true'` (documentation) a mart carries the schema in which readers find it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- if node.fqn[1] == 'marts' -%}
    {{ node.fqn[2] }}{{ '' if var('published', false) else '__next' }}
  {%- else -%}
    {{ custom_schema_name or target.schema }}
  {%- endif -%}
{%- endmacro %}

{# A mart's table drops the domain before the double underscore: finance__dim_dates is read as finance.dim_dates. #}
{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
  {%- if custom_alias_name -%}
    {{ custom_alias_name }}
  {%- elif node.fqn[1] == 'marts' -%}
    {{ node.name.split('__', 1)[1] }}
  {%- else -%}
    {{ node.name }}
  {%- endif -%}
{%- endmacro %}
