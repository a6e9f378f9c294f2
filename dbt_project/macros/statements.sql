{# The database whose sessions count, and the names of the publish sets with | between; unit tests give their own. #}
{% macro warehouse_database() -%}
    current_database()
{%- endmacro %}

{% macro publish_set_names() -%}
    {{ publish_set_models(graph.nodes.values()) | sort | join('|') if execute }}
{%- endmacro %}

{# What of a statement is code: without string literals, comments, and quoted names of more than one word. Nested comments,
   and strings with another setting of standard_conforming_strings, are not seen through; pgaudit needs none of it. #}
{% macro sql_code(column) -%}
    {%- set quoted_names = '("\\w+")|"(?:[^"]|"")*"' -%}
    {%- set strings = "\\m[eE]''(?:[^''\\\\]|\\\\.|'''')*''|''(?:[^'']|'''')*''|\\$\\w*\\$[^$]*\\$\\w*\\$" -%}
    {%- set comments = "--[^\\n]*|/\\*(?:[^*]|\\*+[^*/])*\\*+/" -%}
    regexp_replace({{ column }}, '{{ quoted_names }}|{{ strings }}|{{ comments }}', ' \1 ', 'g')
{%- endmacro %}

{# The tables of publish sets that code names with their schema, quoted or not: finance.fct_x highways.dim_y, null if none. #}
{% macro mart_tables_in(code) -%}
    (
        select string_agg(distinct array_to_string(found, '.'), ' ')
        from
            regexp_matches(
                lower({{ code }}), '\m({{ publish_set_names() }})"?\s*\.\s*"?((?:fct|dim|rpt)_\w+)', 'g'
            ) as found
    )
{%- endmacro %}
