{# Name of the database with the sessions to count. Unit tests override it. #}
{% macro warehouse_database() -%}
    current_database()
{%- endmacro %}

{# Names of the publish sets, separated by |. Unit tests override it. #}
{% macro publish_set_names() -%}
    {{ publish_set_models(graph.nodes.values()) | sort | join('|') if execute }}
{%- endmacro %}

{# The code of a SQL statement, without string literals, comments and quoted names of several words. Nested comments, and
   strings under standard_conforming_strings = off, are not recognised. With pgaudit, this macro is not needed. #}
{% macro sql_code(column) -%}
    {%- set quoted_names = '("\\w+")|"(?:[^"]|"")*"' -%}
    {%- set strings = "\\m[eE]''(?:[^''\\\\]|\\\\.|'''')*''|''(?:[^'']|'''')*''|\\$\\w*\\$[^$]*\\$\\w*\\$" -%}
    {%- set comments = "--[^\\n]*|/\\*(?:[^*]|\\*+[^*/])*\\*+/" -%}
    regexp_replace({{ column }}, '{{ quoted_names }}|{{ strings }}|{{ comments }}', ' \1 ', 'g')
{%- endmacro %}

{# The tables of publish sets named in code with their schema, quoted or not, for example "finance.fct_x highways.dim_y"; null
   if there are none. The schema of a row scope (highways_redditch) and that of a replaced publication (highways__b7) count
   as the set. #}
{% macro mart_tables_in(code) -%}
    (
        select string_agg(distinct array_to_string(found, '.'), ' ')
        from
            regexp_matches(
                lower({{ code }}), '\m({{ publish_set_names() }})(?:_\w+)?"?\s*\.\s*"?((?:fct|dim|rpt)_\w+)', 'g'
            ) as found
    )
{%- endmacro %}
