with

loan_events as (

    select * from {{ ref('stg_koha__loan_events') }}

),

borrowers as (

    select * from {{ ref('stg_koha__borrowers') }}

),

items as (

    select * from {{ ref('stg_koha__items') }}

),

item_types as (

    select * from {{ ref('stg_koha__item_types') }}

),

dim_branches as (

    select * from {{ ref('dim_branches') }}

),

final as (

    select
        {{ content_key([
            'loan_events.borrower_token',
            'loan_events.branch_code',
            'loan_events.item_number',
            'loan_events.loan_event_type',
            'loan_events.occurred_at',
        ]) }} as loan_event_key,
        {{ person_key('libraries', 'loan_events.borrower_token') }} as person_key,
        dim_branches.branch_key,
        items.item_type_code,
        item_types.item_type_name,
        loan_events.loan_event_type,
        loan_events.loan_event_type in ('issue', 'renew') as is_loan,
        coalesce({{ is_staff_card('borrowers') }}, false) as is_on_staff_card,
        coalesce(
            borrowers.is_deceased and {{ local_date('loan_events.occurred_at') }} > borrowers.barred_date, false
        ) as is_after_death,
        {{ local_date('loan_events.occurred_at') }} as event_date
    from loan_events
    left join borrowers
        on loan_events.borrower_token = borrowers.borrower_token
    left join items
        on loan_events.item_number = items.item_number
    left join item_types
        on items.item_type_code = item_types.item_type_code
    left join dim_branches
        on loan_events.branch_code = dim_branches.branch_code
    -- an event after the day on which the file was written has not happened, and is a finding
    where {{ local_date('loan_events.occurred_at') }} between '1900-01-01' and {{ extract_date('koha') }}

)

select * from final
