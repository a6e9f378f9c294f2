{# Schema in which a model is built: the schema of the set's current build for a mart, the schema of the layer for other
   models. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- if node.fqn[1] == 'marts' -%}
    {{ node.fqn[2] }}__next
  {%- else -%}
    {{ custom_schema_name or target.schema }}
  {%- endif -%}
{%- endmacro %}

{# Table name of a model: a mart drops the publish set before the double underscore (finance__dim_dates is dim_dates). #}
{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
  {%- if custom_alias_name -%}
    {{ custom_alias_name }}
  {%- elif node.fqn[1] == 'marts' -%}
    {{ node.name.split('__', 1)[1] }}
  {%- else -%}
    {{ node.name }}
  {%- endif -%}
{%- endmacro %}
