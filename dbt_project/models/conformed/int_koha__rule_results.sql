with

borrowers as (

    select * from {{ ref('stg_koha__borrowers') }}

),

staged_loan_events as (

    select * from {{ ref('stg_koha__loan_events') }}

),

int_visit_months_conformed as (

    select * from {{ ref('int_visit_months_conformed') }}

),

loan_events as (

    select
        staged_loan_events.*,
        case
            when
                staged_loan_events.loan_event_type in ('issue', 'renew')
                and borrowers.is_deceased
                and {{ local_date('staged_loan_events.occurred_at') }} > borrowers.barred_date
                then 'LIB02'
        end as occurred_fault
    from staged_loan_events
    left join borrowers
        on staged_loan_events.borrower_token = borrowers.borrower_token

),

unioned as (

    {%- set file_row = "concat_ws(':', source_file, source_row_number)" %}
    {{ column_checks('borrowers', 'raw_koha.borrowers', file_row, {
        'surname': ('has_surname', 'surname_fault'),
        'firstname': ('has_forename', 'forename_fault'),
        'dateofbirth': ('coalesce(birth_month::text, date_of_birth_fault) is not null', 'date_of_birth_fault'),
        'home_address': ('has_address', 'address_fault'),
        'zipcode': ('has_postcode', 'postcode_fault'),
        'email': ('has_email', 'email_fault'),
        'phone': ('has_telephone', 'telephone_fault'),
        'categorycode': (
            'category_code is not null',
            "case when category_code <> 'S' and " ~ is_staff_card('borrowers') ~ " then 'LIB01' end"
        ),
        'dateexpiry': ('expiry_date is not null', "case when expiry_date < enrolled_date then 'LIB06' end"),
    }) }}

    union all

    {{ column_checks('loan_events', 'raw_koha.statistics', file_row, {
        'datetime': (
            'occurred_at is not null',
            'coalesce(' ~ date_fault(local_date('occurred_at'), extract_date('koha')) ~ ', occurred_fault)'
        ),
    }) }}

    union all

    {{ column_checks('int_visit_months_conformed', 'raw_koha.visits', file_row
        ~ " || to_char(month_start_date, ':YYYY-MM')", {
        'visits': ('visits_reported is not null', 'rule_broken'),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
