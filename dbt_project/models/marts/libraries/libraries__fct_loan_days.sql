with

int_loan_events_conformed as (

    select * from {{ ref('int_loan_events_conformed') }}

),


final as (

    select
        {{ known_or_unknown('branch_key') }} as branch_key,
        coalesce(item_type_code, 'Not known') as item_type_code,
        coalesce(item_type_name, 'Not known') as item_type_name,
        event_date as loan_date,
        count(*) filter (where loan_event_type = 'issue' and not is_on_staff_card) as issues,
        count(*) filter (where loan_event_type = 'renew' and not is_on_staff_card) as renewals,
        count(*) filter (where is_loan and not is_on_staff_card) as loans,
        count(*) filter (where loan_event_type = 'return') as returned_items,
        count(*) filter (where is_loan and is_on_staff_card) as staff_card_loans
    from int_loan_events_conformed
    group by
        branch_key,
        coalesce(item_type_code, 'Not known'),
        coalesce(item_type_name, 'Not known'),
        event_date

)

select * from final
