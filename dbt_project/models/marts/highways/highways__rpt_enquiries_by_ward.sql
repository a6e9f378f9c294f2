with

highways__fct_enquiries as (

    select * from {{ ref('highways__fct_enquiries') }}

),

highways__dim_wards as (

    select * from {{ ref('highways__dim_wards') }}

),

current_wards as (

    select *
    from highways__dim_wards
    where is_current

),

enquiries as (

    select
        *,
        logged_date > as_at_date - interval '1 year' as is_of_last_year
    from highways__fct_enquiries

),

counted as (

    select
        current_ward_code,
        count(*) filter (where is_of_last_year) as year_count,
        count(*) filter (
            where is_of_last_year and ward_code <> current_ward_code
            and {{ unknown_code() }} not in (ward_code, current_ward_code)
        ) as moved_count,
        count(*) filter (where is_open) as open_count,
        max(as_at_date) as as_at_date
    from enquiries
    group by current_ward_code

),

final as (

    select
        coalesce(current_wards.district_name, 'Not located') as "District",
        coalesce(current_wards.ward_name, 'Not known') as "Ward",
        current_wards.ward_code as "Ward code",
        current_wards.valid_from_date as "Ward valid from",
        coalesce(counted.year_count, 0) as "Enquiries in the last year",
        coalesce(counted.moved_count, 0) as "Logged in a former ward",
        coalesce(counted.open_count, 0) as "Open enquiries",
        coalesce(counted.as_at_date, current_wards.as_at_date) as "As at"
    from current_wards
    full join counted
        on current_wards.ward_code = counted.current_ward_code

)

select * from final
