{% set tables = [
    'persons', 'contacts', 'referrals', 'single_assessments', 'cp_plans', 'clas', 'care_episodes', 'involvements'
] %}

with

updates as (

    {% for table in tables %}
        select max(updated_at) as updated_at
        from {{ ref('stg_liquidlogic__' ~ table) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- the as-at date is the date of the latest change in the source
final as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from updates

)

select * from final
