with

int_posts_conformed as (

    select * from {{ ref('int_posts_conformed') }}

),

workforce__dim_positions as (

    select * from {{ ref('workforce__dim_positions') }}

)

select
    int_posts_conformed.month_end_date,
    int_posts_conformed.position_reference
from int_posts_conformed
left join workforce__dim_positions
    on
        {{ person_key('workforce', 'int_posts_conformed.position_reference') }}
        = workforce__dim_positions.position_key
        and {{ person_key('workforce', 'int_posts_conformed.employee_token') }}
        = workforce__dim_positions.person_key
        and int_posts_conformed.organisation_unit_key
        is not distinct from workforce__dim_positions.organisation_unit_key
        and {{ is_in_force('workforce__dim_positions', 'int_posts_conformed.month_end_date') }}
where not int_posts_conformed.is_still_live_after_leaving
group by int_posts_conformed.month_end_date, int_posts_conformed.position_reference
having count(workforce__dim_positions.position_version_key) <> 1
