{# Fails for each row where the expression is false or null. dbt_utils' test of this name lets null pass. #}
{% test expression_is_true(model, expression) %}

    select *
    from {{ model }}
    where ({{ expression }}) is not true

{% endtest %}
