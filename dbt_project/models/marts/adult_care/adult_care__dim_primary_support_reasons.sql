with

dim_primary_support_reasons as (

    select * from {{ ref('dim_primary_support_reasons') }}

),

final as (

    select
        primary_support_reason_key,
        primary_support_reason_name,
        primary_support_group
    from dim_primary_support_reasons

    union all

    select
        {{ unknown_key() }} as primary_support_reason_key,
        {{ unknown_code() }} as primary_support_reason_name,
        {{ unknown_code() }} as primary_support_group

)

select * from final
