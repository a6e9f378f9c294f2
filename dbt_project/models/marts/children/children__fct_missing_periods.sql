with

missing_periods as (

    select * from {{ ref('stg_ssda903__missing_periods') }}

),

final as (

    select
        {{ content_key(['child_token', 'missing_code', 'began_date']) }} as missing_period_key,
        {{ person_key('children_return', 'child_token') }} as missing_child_key,
        coalesce(missing_code = 'M', false) as is_missing,
        case when ended_date >= began_date then ended_date - began_date + 1 end as missing_days,
        began_date,
        case when ended_date >= began_date then ended_date end as ended_date
    from missing_periods

)

select * from final
