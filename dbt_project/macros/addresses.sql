{# The records of a model that have an address, by `key`, with its tokens; `postcode` is the token of a postcode of its own. #}
{% macro address_records(model, raw_table, key, postcode='postcode_token') -%}
    select
        '{{ raw_table }}' as raw_table,
        {{ key }}::text as record_key,
        address_token,
        address_premises_token,
        address_street_token,
        {{ postcode }} as postcode_token
    from {{ model }}
    where address_token is not null
{%- endmacro %}
