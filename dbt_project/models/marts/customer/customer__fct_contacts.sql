with

int_customer_contacts_conformed as (

    select * from {{ ref('int_customer_contacts_conformed') }}

),

customer__fct_cases as (

    select * from {{ ref('customer__fct_cases') }}

),

final as (

    select
        int_customer_contacts_conformed.contact_key,
        int_customer_contacts_conformed.case_key,
        int_customer_contacts_conformed.person_key,
        int_customer_contacts_conformed.channel_code,
        int_customer_contacts_conformed.channel_name,
        customer__fct_cases.service_key,
        int_customer_contacts_conformed.service_name,
        int_customer_contacts_conformed.contacted_at,
        int_customer_contacts_conformed.contacted_date
    from int_customer_contacts_conformed
    left join customer__fct_cases
        on int_customer_contacts_conformed.case_key = customer__fct_cases.case_key
    where not int_customer_contacts_conformed.is_test

)

select * from final
