with

int_involvements_unioned as (

    select * from {{ ref('int_involvements_unioned') }}

),

dim_persons as (

    select * from {{ ref('dim_persons') }}

),

final as (

    select
        int_involvements_unioned.involvement_key,
        {{ person_key('citizen', 'int_involvements_unioned.person_id') }} as person_key,
        dim_persons.restriction,
        int_involvements_unioned.service_area_name,
        int_involvements_unioned.involvement_name,
        int_involvements_unioned.is_open,
        -- an exact date would find the person's row in the sets of the services
        date_trunc('month', int_involvements_unioned.began_date)::date as began_month,
        date_trunc('month', int_involvements_unioned.ended_date)::date as ended_month
    from int_involvements_unioned
    inner join dim_persons
        on
            int_involvements_unioned.person_id = dim_persons.person_id
            and dim_persons.is_current

)

select * from final
