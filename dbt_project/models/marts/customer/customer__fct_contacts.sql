with

interactions as (

    select * from {{ ref('stg_dynamics__interactions') }}

),

contact_channels as (

    select * from {{ ref('contact_channels') }}

),

int_cases_conformed as (

    select * from {{ ref('int_cases_conformed') }}

),

customer__fct_cases as (

    select * from {{ ref('customer__fct_cases') }}

),

final as (

    select
        {{ surrogate_key(['interactions.interaction_id']) }} as contact_key,
        int_cases_conformed.case_key,
        {{ person_key('customer', 'interactions.contact_token') }} as person_key,
        contact_channels.channel_code,
        contact_channels.channel_name,
        {{ known_or_unknown('customer__fct_cases.service_key') }} as service_key,
        int_cases_conformed.service_name,
        {{ local_time('interactions.contacted_at') }} as contacted_at,
        {{ local_date('interactions.contacted_at') }} as contacted_date
    from interactions
    left join contact_channels
        on interactions.contact_type = contact_channels.source_value
    left join int_cases_conformed
        on interactions.case_reference = int_cases_conformed.case_reference
    left join customer__fct_cases
        on int_cases_conformed.case_key = customer__fct_cases.case_key
    where int_cases_conformed.is_test is not true

)

select * from final
