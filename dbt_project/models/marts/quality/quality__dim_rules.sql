with

data_quality_rules as (

    select * from {{ ref('data_quality_rules') }}

),

final as (

    select
        rule_code,
        rule_name,
        dimension,
        severity,
        owner,
        remedy
    from data_quality_rules

)

select * from final
