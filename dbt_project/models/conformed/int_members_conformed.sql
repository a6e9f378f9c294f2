with

borrowers as (

    select * from {{ ref('stg_koha__borrowers') }}

),

int_loan_events_conformed as (

    select * from {{ ref('int_loan_events_conformed') }}

),

dim_branches as (

    select * from {{ ref('dim_branches') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

-- the data go up to the day on which the latest file was written
as_at as (

    select {{ extract_date('koha') }} as as_at_date

),

loans as (

    select
        int_loan_events_conformed.person_key,
        max(int_loan_events_conformed.event_date) as last_loan_date,
        count(*) filter (
            where int_loan_events_conformed.event_date > as_at.as_at_date - interval '1 year'
        ) as loans_in_last_year
    from int_loan_events_conformed
    cross join as_at
    where int_loan_events_conformed.is_loan and not int_loan_events_conformed.is_after_death
    group by int_loan_events_conformed.person_key

),

members as (

    select
        borrowers.*,
        {{ person_key('libraries', 'borrowers.borrower_token') }} as person_key,
        {{ is_staff_card('borrowers') }} as is_staff_card
    from borrowers

),

final as (

    select
        members.person_key,
        dim_branches.branch_key,
        members.category_code,
        dim_postcodes.district_code,
        dim_postcodes.district_name,
        coalesce(loans.loans_in_last_year, 0) as loans_in_last_year,
        members.is_staff_card,
        coalesce(members.is_deceased, false) as is_deceased,
        not members.is_staff_card
        and not coalesce(members.is_deceased, false)
        and coalesce(loans.loans_in_last_year, 0) > 0 as is_active,
        members.enrolled_date,
        case when members.expiry_date >= members.enrolled_date then members.expiry_date end as expiry_date,
        loans.last_loan_date,
        as_at.as_at_date
    from members
    cross join as_at
    left join loans
        on members.person_key = loans.person_key
    left join dim_branches
        on members.branch_code = dim_branches.branch_code
    left join dim_postcodes
        on members.postcode_token = dim_postcodes.postcode_token

)

select * from final
