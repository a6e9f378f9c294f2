{# How published tables are stored: facts sorted by their date, with an index of it, and every table with statistics. #}

{# Date of a fact's measures: the time dimension of its semantic model. None for a table without, and while dbt parses. #}
{% macro fact_date() %}
  {% for semantic_model in (graph.semantic_models or {}).values() if model.unique_id in semantic_model.depends_on.nodes %}
    {% set date = (semantic_model.defaults or {}).agg_time_dimension %}
    {% if date in model.columns %}{{ return(date) }}{% endif %}
  {% endfor %}
  {{ return(none) }}
{% endmacro %}

{# Rows of a model with a contract, as dbt inserts them: of a fact, in the order of its date. #}
{% macro postgres__get_select_subquery(sql) %}
    {{ default__get_select_subquery(sql) }}
    {% if fact_date() %}order by {{ adapter.quote(fact_date()) }}{% endif %}
{% endmacro %}

{# Post-hook of each mart. A block range index is small, and finds a period of a table that is sorted by date. Statistics are
   made before the publication, so that the first query of a reader has them. #}
{% macro index_and_analyse() -%}
    {%- if fact_date() -%}
        create index on {{ this }} using brin ({{ adapter.quote(fact_date()) }});
    {% endif -%}
    analyze {{ this }}
{%- endmacro %}
