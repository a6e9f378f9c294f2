with

int_street_wards_bounded as (

    select * from {{ ref('int_street_wards_bounded') }}

),

dim_streets as (

    select * from {{ ref('dim_streets') }}

),

dim_wards as (

    select * from {{ ref('dim_wards') }}

),

final as (

    select
        {{ surrogate_key(['dim_streets.usrn', 'int_street_wards_bounded.valid_from_date']) }} as street_ward_key,
        dim_streets.street_key,
        dim_wards.ward_key,
        dim_streets.usrn,
        dim_wards.ward_code,
        dim_wards.ward_name,
        int_street_wards_bounded.valid_from_date,
        int_street_wards_bounded.valid_to_date,
        {{ is_in_force('int_street_wards_bounded', 'dim_wards.as_at_date') }} as is_current
    from int_street_wards_bounded
    inner join dim_streets
        on int_street_wards_bounded.usrn = dim_streets.usrn
    inner join dim_wards
        on int_street_wards_bounded.ward_key = dim_wards.ward_key
    where
        int_street_wards_bounded.valid_from_date
        <= coalesce(int_street_wards_bounded.valid_to_date, 'infinity')

)

select * from final
