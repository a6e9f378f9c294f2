{# Whether a payee's name is withheld; Redactive Events Ltd is a company. #}
{% macro is_redacted(column) -%}
    coalesce({{ column }} ilike '%redacted%', false)
{%- endmacro %}

{# The form of an organisation's name that its spellings share: capitals, no punctuation, no leading THE, no legal form
   at the end (also cut short, as in LIMI). What a company trades as is dropped, because its registered name comes first;
   it is kept for a person, because two people may share a name. Null where nothing is left. #}
{% macro normalised_organisation_name(column) -%}
    nullif(
        regexp_replace(
            regexp_replace(
                btrim(regexp_replace(
                    regexp_replace(
                        replace(
                            regexp_replace(
                                upper(normalize({{ column }}, nfkc)),
                                '\m(LTD|LIMITED|PLC|LLP|CIC)\M\.?\s*T/A\M.*$', '\1'
                            ),
                            '&', ' AND '
                        ),
                        '[.''’‘`]', '', 'g'
                    ),
                    '[^[:alnum:]]+', ' ', 'g'
                )),
                '^THE ', ''
            ),
            '( (LTD|LIMITED|LIMITE|LIMIT|LIMI|LIM|LT|PLC|LLP|CIC))+$', ''
        ),
        ''
    )
{%- endmacro %}

{# A VAT number as GB and nine digits, where it can be read as one; a tenth digit in front is a stray nought. #}
{% macro vat_number(column) -%}
    case when length({{ column }}) >= 9
        then 'GB' || substring(regexp_replace({{ column }}, '[^0-9]', '', 'g') from '^0?(\d{9})$')
    end
{%- endmacro %}

{# Whether a VAT number (GB and nine digits) satisfies HMRC's check: weights 8 to 2 over seven digits, plus the last two
   as a number, is divisible by 97, or is so after adding 55. #}
{% macro is_vat_number_valid(column) -%}
    0 in (
        ({{ vat_check_sum(column) }}) % 97,
        ({{ vat_check_sum(column) }} + 55) % 97
    )
{%- endmacro %}

{# The code of the rule that a VAT number breaks, null where it breaks none; `column` is its one spelling, null where it cannot
   be read. #}
{% macro vat_number_fault(column) -%}
    case when {{ column }} is null then 'VAT01' when not {{ is_vat_number_valid(column) }} then 'VAT02' end
{%- endmacro %}

{% macro vat_check_sum(column) -%}
    {%- for weight in range(8, 1, -1) %}{{ weight }} * substr({{ column }}, {{ 11 - weight }}, 1)::integer + {% endfor -%}
    substr({{ column }}, 10, 2)::integer
{%- endmacro %}

{# A number at Companies House as its eight characters (with the noughts that a column of numbers has lost), where it has
   their form: digits alone, or behind the two letters of another register. #}
{% macro company_number(column) -%}
    {%- set compact = "regexp_replace(upper(" ~ column ~ "), '[^A-Z0-9]', '', 'g')" -%}
    case
        when {{ compact }} ~ '^\d{1,8}$' then lpad({{ compact }}, 8, '0')
        when {{ compact }} ~ '^(AC|CE|CS|FC|GE|IC|IP|LP|N[CFILOPRV]|O[CE]|PC|R[CS]|S[ACEFGILOPRZ]|ZC)\d{1,6}$'
            then left({{ compact }}, 2) || lpad(substr({{ compact }}, 3), 6, '0')
    end
{%- endmacro %}

{# A number at the Charity Commission (six or seven digits, without what marks a linked charity), or with its letters one of
   Scotland's (SC) or Northern Ireland's (NIC) register, where it has their form. #}
{% macro charity_number(column) -%}
    substring(
        regexp_replace(upper({{ column }}), '[^A-Z0-9-]', '', 'g')
        from '^([1-9]\d{5,6}|SC\d{6}|NIC\d{6})(?:-\d+)?$'
    )
{%- endmacro %}
