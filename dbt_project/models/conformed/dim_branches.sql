with

branches as (

    select * from {{ ref('stg_koha__branches') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

final as (

    select
        {{ surrogate_key(['branches.branch_code']) }} as branch_key,
        branches.branch_code,
        branches.branch_name,
        dim_postcodes.district_code,
        dim_postcodes.district_name,
        branches.population,
        branches.closed_from_date,
        branches.closed_to_date
    from branches
    left join dim_postcodes
        on branches.postcode = dim_postcodes.postcode

)

select * from final
