{# Whether a borrower's card is a branch's own: its category says so, or it has no date of birth, which members give. #}
{% macro is_staff_card(borrowers) -%}
    (
        {{ borrowers }}.category_code = 'S'
        or ({{ borrowers }}.birth_month is null and {{ borrowers }}.date_of_birth_fault is null)
    )
{%- endmacro %}
