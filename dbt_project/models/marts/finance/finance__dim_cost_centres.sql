with

dim_cost_centres as (

    select * from {{ ref('dim_cost_centres') }}

),

final as (

    select
        cost_centre_key,
        cost_centre_code,
        cost_centre_name,
        paying_body_name,
        paying_body_uri
    from dim_cost_centres

)

select * from final
