with

periods as (

    select
        service_code,
        valid_to_date,
        lead(valid_from_date) over (partition by service_code order by valid_from_date) as next_from_date
    from {{ ref('customer__dim_services') }}

)

-- the next period must begin on the day after; earlier is an overlap, later is a gap without a responsible unit
select service_code
from periods
where next_from_date is not null and next_from_date is distinct from valid_to_date + 1

union all

select services.service_code
from {{ ref('services') }} as services
left join periods
    on services.service_code = periods.service_code
where periods.service_code is null
