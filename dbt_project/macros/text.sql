{# Text without surrounding white space, including no-break spaces; empty text becomes null. #}
{% macro clean_text(column) -%}
    nullif(btrim({{ column }}, e' \t\r\n\u00a0'), '')
{%- endmacro %}

{# A code; null where the system writes NA, N/A or a hyphen for a missing code. #}
{% macro clean_code(column) -%}
    nullif(nullif(nullif(nullif({{ clean_text(column) }}, 'NA'), 'N/A'), 'n/a'), '-')
{%- endmacro %}

{# A value that is in a code list; "Other" for any other text, which a person may have typed. `codes` is a select of the
   list's values. The lineage check accepts no other way to a mart without a review (warehouse/lineage.py). #}
{% macro listed(column, codes) -%}
    case when {{ column }} in ({{ codes }}) then {{ column }} when {{ column }} is not null then 'Other' end
{%- endmacro %}

{# A select of the values of a code list, for `listed`. #}
{% macro code_list(name, seed='code_lists') -%}
    select code from {{ ref(seed) }} where code_list = '{{ name }}'
{%- endmacro %}

{# Code of the rule that a value breaks if it was not in its code list. #}
{% macro listed_fault(column) -%}
    case when {{ column }} = 'Other' then 'COD01' end
{%- endmacro %}
