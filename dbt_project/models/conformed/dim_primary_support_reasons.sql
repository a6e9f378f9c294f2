with

primary_support_reasons as (

    select * from {{ ref('primary_support_reasons') }}

),

final as (

    select
        {{ surrogate_key(['primary_support_reason_name']) }} as primary_support_reason_key,
        primary_support_reason_name,
        primary_support_group
    from primary_support_reasons

)

select * from final
