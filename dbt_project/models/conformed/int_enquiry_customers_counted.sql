with

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

enquiry_customers as (

    select * from {{ ref('stg_confirm__enquiry_customers') }}

),

counted as (

    select
        enquiry_customers.enquiry_number,
        (count(*) over (
            partition by enquiry_customers.customer_token
            order by enquiries.logged_at
            range between interval '1 year' preceding and current row
        ) - 1)::integer as customer_enquiries_in_year_before
    from enquiry_customers
    inner join enquiries
        on enquiry_customers.enquiry_number = enquiries.enquiry_number

)

select * from counted
