with

int_column_checks_unioned as (

    select * from {{ ref('int_column_checks_unioned') }}

),

final as (

    select
        column_check_key as finding_key,
        rule_code,
        raw_table,
        column_name,
        record_key,
        moved_to_column
    from int_column_checks_unioned
    where rule_code is not null

)

select * from final
