with

dim_wards as (

    select * from {{ ref('dim_wards') }}

),

final as (

    select
        ward_key,
        ward_code,
        ward_name,
        district_code,
        district_name,
        valid_from_date,
        valid_to_date,
        is_current,
        as_at_date
    from dim_wards

)

select * from final
