-- Whoever looks a post up on the last day of a month finds what that month's workbook says, once.
with

int_posts_conformed as (

    select * from {{ ref('int_posts_conformed') }}

),

dim_positions as (

    select * from {{ ref('dim_positions') }}

)

select
    int_posts_conformed.month_end_date,
    int_posts_conformed.position_reference
from int_posts_conformed
left join dim_positions
    on
        int_posts_conformed.position_reference = dim_positions.position_reference
        and int_posts_conformed.employee_token = dim_positions.employee_token
        and int_posts_conformed.organisation_unit_key is not distinct from dim_positions.organisation_unit_key
        and {{ is_in_force('dim_positions', 'int_posts_conformed.month_end_date') }}
where not int_posts_conformed.is_still_live_after_leaving
group by int_posts_conformed.month_end_date, int_posts_conformed.position_reference
having count(dim_positions.position_version_key) <> 1
