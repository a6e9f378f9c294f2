{# Returns the rows where the expression is false or null. The test of the same name in dbt_utils accepts null. #}
{% test expression_is_true(model, expression) %}

    select *
    from {{ model }}
    where ({{ expression }}) is not true

{% endtest %}
