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

    union all

    select
        {{ unknown_key() }} as ward_key,
        {{ unknown_code() }} as ward_code,
        {{ unknown_code() }} as ward_name,
        {{ unknown_code() }} as district_code,
        'Not located' as district_name,
        {{ unknown_from_date() }} as valid_from_date,
        null as valid_to_date,
        false as is_current,
        max(as_at_date) as as_at_date
    from dim_wards

)

select * from final
