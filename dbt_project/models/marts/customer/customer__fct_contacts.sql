with

int_customer_contacts_conformed as (

    select * from {{ ref('int_customer_contacts_conformed') }}

),

final as (

    select
        contact_key,
        case_key,
        person_key,
        channel_code,
        channel_name,
        service_name,
        contacted_at,
        contacted_date
    from int_customer_contacts_conformed
    where not is_test

)

select * from final
