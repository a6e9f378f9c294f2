with

int_active_members_counted as (

    select * from {{ ref('int_active_members_counted') }}

),

final as (

    select
        branch_key,
        month_start_date,
        active_members
    from int_active_members_counted

)

select * from final
