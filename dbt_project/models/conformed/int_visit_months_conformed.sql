with

visits as (

    select * from {{ ref('stg_koha__visits') }}

),

dim_branches as (

    select * from {{ ref('dim_branches') }}

),

usual as (

    select
        branch_code,
        percentile_cont(0.5) within group (order by visit_count) as usual_visits
    from visits
    where visit_count > 0
    group by branch_code

),

judged as (

    select
        visits.*,
        dim_branches.branch_key,
        coalesce(
            visits.visit_count > 0
            and visits.month_start_date >= dim_branches.closed_from_date
            and visits.month_start_date + interval '1 month' - interval '1 day' <= dim_branches.closed_to_date,
            false
        ) as is_closed,
        coalesce(visits.visit_count > 10 * usual.usual_visits, false) as is_absurd
    from visits
    left join dim_branches
        on visits.branch_code = dim_branches.branch_code
    left join usual
        on visits.branch_code = usual.branch_code

),

ruled as (

    select
        *,
        case
            when visit_count < 0 then 'LIB03'
            when is_absurd then 'LIB04'
            when is_closed then 'LIB05'
        end as rule_broken
    from judged

),

final as (

    select
        {{ surrogate_key(['branch_code', 'month_start_date']) }} as visit_month_key,
        source_file,
        source_row_number,
        branch_key,
        month_start_date,
        case when rule_broken is null then visit_count end as visits,
        visit_count as visits_reported,
        rule_broken
    from ruled

)

select * from final
