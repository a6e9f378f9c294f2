{# Returns each combination of values of these columns that several rows have. #}
{% test unique_combination_of_columns(model, combination_of_columns) %}

    select {{ combination_of_columns | join(', ') }}
    from {{ model }}
    group by {{ combination_of_columns | join(', ') }}
    having count(*) > 1

{% endtest %}
