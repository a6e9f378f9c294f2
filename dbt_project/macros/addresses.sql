{# A select of the records of a model that have an address, by `key`, with the tokens of the address. `postcode` and `uprn`
   are the columns with the tokens of its postcode and UPRN. #}
{% macro address_records(model, raw_table, key, postcode='postcode_token', uprn='null::text') -%}
    select
        '{{ raw_table }}' as raw_table,
        {{ key }}::text as record_key,
        address_token,
        address_premises_token,
        address_street_token,
        {{ postcode }} as postcode_token,
        {{ uprn }} as uprn_token
    from {{ model }}
    where address_token is not null
{%- endmacro %}
