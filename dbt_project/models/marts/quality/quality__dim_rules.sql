with

dim_data_quality_rules as (

    select * from {{ ref('dim_data_quality_rules') }}

),

final as (

    select
        rule_code,
        rule_name,
        dimension,
        severity,
        owner,
        remedy
    from dim_data_quality_rules

)

select * from final
