{# Returns each combination of values that fewer than `people` rows show. A withheld value shows nothing. #}
{% test k_anonymous(model, columns, people) %}

    select {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having
        count(*) < {{ people }}
        and concat({% for column in columns %}nullif({{ column }}::text, 'Withheld'){{ ', ' if not loop.last }}{% endfor %}) <> ''

{% endtest %}
