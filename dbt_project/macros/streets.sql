{# A USRN is text of eight digits; systems that take it for a number lose its leading noughts. #}
{% macro usrn(column) -%}
    case when {{ clean_text(column) }} ~ '^0*[1-9]\d*$' and length({{ clean_text(column) }}) <= 8
        then lpad({{ clean_text(column) }}, 8, '0')
    end
{%- endmacro %}

{# One half of a grid reference; nought in either half means that there is none. #}
{% macro known_coordinate(column, other) -%}
    case when {{ column }} <> 0 and {{ other }} <> 0 then {{ column }} end
{%- endmacro %}

{# A street's name in its usual case, with its last word written out: Smith Str and SMITH ST. are Smith Street. Words
   before the last stay as they are: the first of St Johns Road is no street. #}
{% macro standard_street_name(column) -%}
    {%- set last_words = {
        'St|Str|Street': 'Street', 'Rd|Road': 'Road', 'Av|Ave|Avenue': 'Avenue', 'Ln|Lane': 'Lane', 'Cl|Close': 'Close',
        'Dr|Drive': 'Drive', 'Cres|Crescent': 'Crescent', 'Gdns|Gardens': 'Gardens'
    } -%}
    {%- set spaced = "regexp_replace(" ~ clean_text(column) ~ ", '\\s+', ' ', 'g')" -%}
    {%- set name = namespace(
        sql="case when " ~ column ~ " = upper(" ~ column ~ ") then regexp_replace(initcap(" ~ spaced ~ "), '(?<=[''’])S\\M', 's') "
            ~ "else " ~ spaced ~ " end"
    ) -%}
    {%- for short, whole in last_words.items() -%}
        {%- set name.sql = "regexp_replace(" ~ name.sql ~ ", '(?<= )(" ~ short ~ ")\\.?$', '" ~ whole ~ "', 'i')" -%}
    {%- endfor -%}
    {{ name.sql }}
{%- endmacro %}
