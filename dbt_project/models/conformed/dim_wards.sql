with

wards as (

    select * from {{ ref('stg_confirm__wards') }}

),

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

districts as (

    select * from {{ ref('districts') }}

),

changes as (

    select updated_at
    from wards
    union all
    select updated_at
    from enquiries

),

-- the as-at date is the date of the latest change in the source
as_at as (

    select {{ local_date('max(updated_at)') }} as as_at_date
    from changes

),

final as (

    select
        {{ surrogate_key(['wards.ward_code']) }} as ward_key,
        wards.ward_code,
        wards.ward_name,
        wards.district_code,
        districts.district_name,
        wards.valid_from_date,
        wards.valid_to_date,
        {{ is_in_force('wards', 'as_at.as_at_date') }} as is_current,
        as_at.as_at_date
    from wards
    cross join as_at
    left join districts
        on wards.district_code = districts.district_code

)

select * from final
