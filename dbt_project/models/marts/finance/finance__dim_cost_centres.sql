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

    union all

    select
        {{ unknown_key() }} as cost_centre_key,
        {{ unknown_code() }} as cost_centre_code,
        {{ unknown_code() }} as cost_centre_name,
        null as paying_body_name,
        null as paying_body_uri

)

select * from final
