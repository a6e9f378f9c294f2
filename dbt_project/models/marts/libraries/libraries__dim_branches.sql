with

dim_branches as (

    select * from {{ ref('dim_branches') }}

),

final as (

    select
        branch_key,
        branch_code,
        branch_name,
        district_code,
        district_name,
        population,
        closed_from_date,
        closed_to_date
    from dim_branches

)

select * from final
