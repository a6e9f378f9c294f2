with

data_quality_rules as (

    select * from {{ ref('data_quality_rules') }}

)

select * from data_quality_rules
