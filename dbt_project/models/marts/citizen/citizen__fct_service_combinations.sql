with

citizen__fct_involvements as (

    select * from {{ ref('citizen__fct_involvements') }}

),

final as (

    select
        person_key,
        restriction,
        string_agg(distinct service_area_name, ' + ' order by service_area_name) as service_areas,
        count(distinct service_area_name)::integer as service_area_count
    from citizen__fct_involvements
    where is_open
    group by person_key, restriction

)

select * from final
