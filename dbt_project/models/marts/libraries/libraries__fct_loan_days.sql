with

int_loan_days_summed as (

    select * from {{ ref('int_loan_days_summed') }}

),

final as (

    select
        branch_key,
        item_type_code,
        item_type_name,
        loan_date,
        issues,
        renewals,
        loans,
        returned_items,
        staff_card_loans
    from int_loan_days_summed

)

select * from final
