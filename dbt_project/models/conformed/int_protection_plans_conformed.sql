with

cp_plans as (

    select * from {{ ref('stg_liquidlogic__cp_plans') }}

),

bridge_children_persons as (

    select * from {{ ref('bridge_children_persons') }}

),

int_homes_dated as (

    select * from {{ ref('int_homes_dated') }}

),

dim_children as (

    select * from {{ ref('dim_children') }}

),

int_children_as_at_dated as (

    select * from {{ ref('int_children_as_at_dated') }}

),

joined as (

    select
        cp_plans.cp_plan_id,
        cp_plans.initial_category_name,
        cp_plans.latest_category_name,
        cp_plans.age_years,
        cp_plans.began_date,
        bridge_children_persons.child_key,
        int_children_as_at_dated.as_at_date,
        {{ credible_date('cp_plans.ended_date', 'int_children_as_at_dated.as_at_date') }} as ended_date,
        {{ date_fault('cp_plans.ended_date', 'int_children_as_at_dated.as_at_date') }} as ended_fault,
        coalesce(cp_plans.ended_date < cp_plans.began_date, false) as is_ended_before_began
    from cp_plans
    cross join int_children_as_at_dated
    left join bridge_children_persons
        on cp_plans.person_token = bridge_children_persons.person_token

),

measured as (

    select
        *,
        -- the duration of a plan that ended before it began is not known
        case when not is_ended_before_began then coalesce(ended_date, as_at_date) end as lasted_to_date,
        case
            when child_key is not null
                then row_number() over (partition by child_key order by began_date, cp_plan_id)
        end::integer as plan_number,
        case
            when child_key is not null
                then max(case when not is_ended_before_began then ended_date end) over (
                    partition by child_key
                    order by began_date, cp_plan_id rows between unbounded preceding and 1 preceding
                )
        end as previous_ended_date
    from joined

),

final as (

    select
        {{ surrogate_key(['measured.cp_plan_id']) }} as protection_plan_key,
        measured.cp_plan_id,
        measured.child_key,
        measured.plan_number,
        measured.initial_category_name,
        measured.latest_category_name,
        int_homes_dated.district_code,
        int_homes_dated.district_name,
        case when dim_children.birth_month is not null then measured.age_years end as age_years,
        measured.lasted_to_date - measured.began_date as plan_days,
        measured.lasted_to_date >= (measured.began_date + interval '3 months')::date as is_at_3_months,
        measured.lasted_to_date >= (measured.began_date + interval '12 months')::date as is_at_12_months,
        measured.lasted_to_date >= (measured.began_date + interval '24 months')::date as is_at_24_months,
        case
            when measured.child_key is not null
                then coalesce(
                    measured.previous_ended_date >= (measured.began_date - interval '24 months')::date, false
                )
        end as is_repeat_within_2_years,
        measured.ended_date is null as is_open,
        measured.is_ended_before_began,
        measured.ended_fault,
        measured.began_date,
        case when not measured.is_ended_before_began then measured.ended_date end as ended_date,
        measured.as_at_date
    from measured
    left join dim_children
        on measured.child_key = dim_children.child_key
    left join int_homes_dated
        on
            measured.child_key = int_homes_dated.person_key
            and measured.began_date <@ int_homes_dated.lived_there

)

select * from final
