with

int_rule_results_unioned as (

    select * from {{ ref('int_rule_results_unioned') }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name']) }} as checked_column_key,
        raw_table,
        column_name,
        sum(value_count)::bigint as values_checked,
        count(rule_code) as values_with_a_finding,
        round(100 - 100.0 * count(rule_code) / sum(value_count), 3)::numeric(6, 3) as percent_passed
    from int_rule_results_unioned
    group by raw_table, column_name

)

select * from final
