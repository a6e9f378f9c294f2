{# True if a borrower's card is a branch's staff card: category S, or no date of birth, which every member gives. #}
{% macro is_staff_card(borrowers) -%}
    (
        {{ borrowers }}.category_code = 'S'
        or ({{ borrowers }}.birth_month is null and {{ borrowers }}.date_of_birth_fault is null)
    )
{%- endmacro %}
