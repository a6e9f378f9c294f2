with

customer__fct_contacts as (

    select * from {{ ref('customer__fct_contacts') }}

),

customer__dim_dates as (

    select * from {{ ref('customer__dim_dates') }}

),

counted as (

    select
        customer__dim_dates.month_start_date,
        customer__fct_contacts.channel_name,
        -- counts under five are suppressed
        {{ unless_few('count(*)') }} as contact_count
    from customer__fct_contacts
    inner join customer__dim_dates
        on customer__fct_contacts.contacted_date = customer__dim_dates.date_day
    group by
        customer__dim_dates.month_start_date,
        customer__fct_contacts.channel_name

),

final as (

    select
        month_start_date as "Month",
        channel_name as "Channel",
        contact_count as "Contacts",
        (
            100.0 * contact_count / sum(contact_count) over (partition by month_start_date)
        )::numeric(5, 1) as "Percentage of contacts"
    from counted

)

select * from final
