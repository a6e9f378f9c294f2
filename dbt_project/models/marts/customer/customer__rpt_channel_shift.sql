{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'known_totals': {'Contacts': ['month_start_date']},
    'figures': {
        'Contacts': {'count': 'contact_count'},
        'Contacts of the month': {'count': 'month_contact_count'},
        'Percentage of contacts': {
            'derived': '100.0 * "Contacts" / "Contacts of the month"',
            'type': 'numeric(5, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

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
        count(*) as contact_count,
        sum(count(*)) over (partition by customer__dim_dates.month_start_date) as month_contact_count
    from customer__fct_contacts
    inner join customer__dim_dates
        on customer__fct_contacts.contacted_date = customer__dim_dates.date_day
    group by
        customer__dim_dates.month_start_date,
        customer__fct_contacts.channel_name

),

disclosed as (

    {{ disclosed('counted', disclosure) }}

),

final as (

    select
        month_start_date as "Month",
        channel_name as "Channel",
        "Contacts",
        "Contacts of the month",
        "Percentage of contacts",
        "Suppressed figures"
    from disclosed

)

select * from final
