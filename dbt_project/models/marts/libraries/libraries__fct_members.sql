with

int_members_conformed as (

    select * from {{ ref('int_members_conformed') }}

),

final as (

    select
        person_key,
        {{ known_or_unknown('branch_key') }} as branch_key,
        category_code,
        district_code,
        district_name,
        loans_in_last_year,
        is_deceased,
        is_active,
        enrolled_date,
        expiry_date,
        last_loan_date,
        as_at_date
    from int_members_conformed
    where not is_staff_card

)

select * from final
