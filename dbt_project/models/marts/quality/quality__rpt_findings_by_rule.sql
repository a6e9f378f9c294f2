with

quality__dim_rules as (

    select * from {{ ref('quality__dim_rules') }}

),

quality__fct_findings as (

    select * from {{ ref('quality__fct_findings') }}

),

final as (

    select
        quality__fct_findings.raw_table as "Raw table",
        quality__fct_findings.column_name as "Column",
        quality__dim_rules.rule_name as "Finding",
        quality__dim_rules.dimension as "Dimension",
        quality__dim_rules.severity as "Severity",
        count(*) as "Values",
        quality__dim_rules.owner as "Owner of the rule",
        quality__dim_rules.remedy as "Remedy"
    from quality__fct_findings
    inner join quality__dim_rules
        on quality__fct_findings.rule_code = quality__dim_rules.rule_code
    group by
        quality__fct_findings.raw_table,
        quality__fct_findings.column_name,
        quality__dim_rules.rule_code,
        quality__dim_rules.rule_name,
        quality__dim_rules.dimension,
        quality__dim_rules.severity,
        quality__dim_rules.owner,
        quality__dim_rules.remedy

)

select * from final
