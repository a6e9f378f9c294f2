with

int_rule_results_unioned as (

    select * from {{ ref('int_rule_results_unioned') }}

),

final as (

    select
        column_check_key as finding_key,
        rule_code,
        raw_table,
        column_name,
        record_key,
        moved_to_column
    from int_rule_results_unioned
    where rule_code is not null

)

select * from final
