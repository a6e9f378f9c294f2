with

int_visit_months_conformed as (

    select * from {{ ref('int_visit_months_conformed') }}

),

final as (

    select
        {{ known_or_unknown('branch_key') }} as branch_key,
        month_start_date,
        visits,
        visits_reported
    from int_visit_months_conformed

)

select * from final
