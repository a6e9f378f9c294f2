with

site_wards as (

    select * from {{ ref('stg_confirm__site_wards') }}

),

dim_wards as (

    select * from {{ ref('dim_wards') }}

),

-- of a number with and without its leading zero, the complete number counts, as in dim_streets
followed as (

    select
        *,
        lead(valid_from_date) over (
            partition by coalesce(usrn, usrn_raw)
            order by valid_from_date asc, usrn = usrn_raw asc, usrn_raw asc
        ) as next_from_date
    from site_wards

),

bounded as (

    select
        *,
        least(valid_to_date, next_from_date - 1) as last_date
    from followed

),

final as (

    select
        bounded.usrn_raw || ':' || bounded.valid_from_date as street_ward_key,
        bounded.usrn,
        bounded.usrn_raw,
        bounded.ward_code,
        dim_wards.ward_key,
        greatest(bounded.valid_from_date, dim_wards.valid_from_date) as valid_from_date,
        least(bounded.last_date, dim_wards.valid_to_date) as valid_to_date,
        coalesce(
            {{ is_in_force('dim_wards', 'bounded.valid_from_date') }}
            and coalesce(bounded.last_date, 'infinity') <= coalesce(dim_wards.valid_to_date, 'infinity'),
            false
        ) as is_ward_there,
        coalesce(
            coalesce(bounded.valid_to_date, 'infinity') < bounded.valid_from_date
            or coalesce(bounded.valid_to_date, 'infinity') >= bounded.next_from_date,
            false
        ) as has_impossible_days
    from bounded
    left join dim_wards
        on bounded.ward_code = dim_wards.ward_code

)

select * from final
