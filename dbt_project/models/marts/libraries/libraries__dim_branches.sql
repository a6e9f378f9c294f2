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

    union all

    select
        {{ unknown_key() }} as branch_key,
        {{ unknown_code() }} as branch_code,
        {{ unknown_code() }} as branch_name,
        null as district_code,
        null as district_name,
        null as population,
        null as closed_from_date,
        null as closed_to_date

)

select * from final
