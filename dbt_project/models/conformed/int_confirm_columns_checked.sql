with

defects as (

    select * from {{ ref('stg_confirm__defects') }}

),

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

enquiry_customers as (

    select * from {{ ref('stg_confirm__enquiry_customers') }}

),

unioned as (

    -- a value of which nothing is left in its one spelling has a fault and no token
    {{ column_checks('enquiry_customers', 'raw_confirm.enquiry_customer', 'enquiry_number', {
        'customer_name': ('coalesce(name_token, name_fault) is not null', 'name_fault'),
        'customer_address': ('coalesce(address_token, address_fault) is not null', 'address_fault'),
        'customer_email': ('coalesce(email_token, email_fault) is not null', 'email_fault'),
        'customer_phone': ('coalesce(telephone_token, telephone_fault) is not null', 'telephone_fault'),
    }) }}

    union all

    {{ column_checks('enquiries', 'raw_confirm.central_enquiry', 'enquiry_number', {
        'site_code': ('usrn_raw is not null', "case when usrn is null then 'USR01' end"),
    }) }}

    union all

    {{ column_checks('defects', 'raw_confirm.defect', 'defect_id', {
        'usrn': ('usrn_raw is not null', "case when usrn is null then 'USR01' end"),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
