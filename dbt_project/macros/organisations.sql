{# True if a payee's name is withheld. The name Redactive is not affected. #}
{% macro is_redacted(column) -%}
    coalesce({{ column }} ilike '%redacted%', false)
{%- endmacro %}

{# Canonical form of an organisation's name, which its spellings share: upper case, without punctuation, leading THE and
   final legal form (also truncated, as in LIMI). A company's trading name is dropped, because the registered name comes
   first; a person's is kept, because two people may have the same name. Null where nothing is left. #}
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

{# VAT number as GB and nine digits; null where it cannot be read. A leading zero before nine digits is dropped. #}
{% macro vat_number(column) -%}
    case when length({{ column }}) >= 9
        then 'GB' || substring(regexp_replace({{ column }}, '[^0-9]', '', 'g') from '^0?(\d{9})$')
    end
{%- endmacro %}

{# True if a VAT number (GB and nine digits) passes HMRC's check-digit test: the sum of the first seven digits with weights
   8 to 2 and the last two digits as a number is divisible by 97, or is divisible after 55 is added. #}
{% macro is_vat_number_valid(column) -%}
    0 in (
        ({{ vat_check_sum(column) }}) % 97,
        ({{ vat_check_sum(column) }} + 55) % 97
    )
{%- endmacro %}

{# Code of the rule that a VAT number breaks; null where it breaks none. `column` has the canonical form, null where the
   number cannot be read. #}
{% macro vat_number_fault(column) -%}
    case when {{ column }} is null then 'VAT01' when not {{ is_vat_number_valid(column) }} then 'VAT02' end
{%- endmacro %}

{# Check sum of a VAT number: the first seven digits with weights 8 to 2, and the last two digits as a number. #}
{% macro vat_check_sum(column) -%}
    {%- for weight in range(8, 1, -1) %}{{ weight }} * substr({{ column }}, {{ 11 - weight }}, 1)::integer + {% endfor -%}
    substr({{ column }}, 10, 2)::integer
{%- endmacro %}

{# Companies House number with eight characters, including leading zeros that a numeric column has lost; null where the
   value is neither all digits nor digits after the two letters of another register. #}
{% macro company_number(column) -%}
    {%- set compact = "regexp_replace(upper(" ~ column ~ "), '[^A-Z0-9]', '', 'g')" -%}
    case
        when {{ compact }} ~ '^\d{1,8}$' then lpad({{ compact }}, 8, '0')
        when {{ compact }} ~ '^(AC|CE|CS|FC|GE|IC|IP|LP|N[CFILOPRV]|O[CE]|PC|R[CS]|S[ACEFGILOPRZ]|ZC)\d{1,6}$'
            then left({{ compact }}, 2) || lpad(substr({{ compact }}, 3), 6, '0')
    end
{%- endmacro %}

{# Charity number: six or seven digits of the Charity Commission without the suffix of a linked charity, or a number of the
   Scottish (SC) or Northern Irish (NIC) register; null where the value has neither form. #}
{% macro charity_number(column) -%}
    substring(
        regexp_replace(upper({{ column }}), '[^A-Z0-9-]', '', 'g')
        from '^([1-9]\d{5,6}|SC\d{6}|NIC\d{6})(?:-\d+)?$'
    )
{%- endmacro %}
