{# The rule holds in every row; where it cannot be decided (null) it counts as broken. #}
{% test always_true(model, rule) %}

    select *
    from {{ model }}
    where ({{ rule }}) is not true

{% endtest %}
