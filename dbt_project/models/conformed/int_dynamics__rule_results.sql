with

foi_requests as (

    select
        *,
        {{ local_date('max(updated_at) over ()') }} as as_at_date
    from {{ ref('stg_dynamics__foi_requests') }}

),

complaints as (

    select
        *,
        {{ local_date('max(updated_at) over ()') }} as as_at_date
    from {{ ref('stg_dynamics__complaints') }}

),

incidents as (

    select * from {{ ref('stg_dynamics__incidents') }}

),

contact_channels as (

    select * from {{ ref('contact_channels') }}

),

contacts as (

    select
        contacts.*,
        conformed.finding_record_key
    from {{ ref('stg_dynamics__contacts') }} as contacts
    inner join {{ ref('int_contacts_conformed') }} as conformed
        on contacts.contact_token = conformed.contact_token

),

cases as (

    select
        incidents.*,
        contact_channels.channel_code,
        {{ local_date('max(incidents.updated_at) over ()') }} as as_at_date
    from incidents
    left join contact_channels
        on incidents.origin_code = contact_channels.source_value

),

unioned as (

    {{ column_checks('contacts', 'raw_dynamics.contacts', 'finding_record_key', {
        'firstname': 'first_name',
        'lastname': 'last_name',
        'emailaddress1': 'email',
        'telephone1': 'telephone',
        'address1_line1': 'address',
        'address1_postalcode': 'postcode',
    }) }}

    union all

    {{ column_checks('cases', 'raw_dynamics.incidents', 'case_reference', {
        'resolvedon': ("state_name <> 'Active'",
            "coalesce(case when closed_at is null then 'CRM03' when closed_at < created_at then 'CRM01' end, "
            ~ date_fault(local_date('closed_at'), 'as_at_date') ~ ')'),
        'subject': ('service_name is not null', listed_fault('service_name')),
        'title': ('title is not null', "case when is_test then 'CRM02' end"),
        'caseorigincode': ('origin_code is not null', "case when channel_code is null then 'CRM04' end"),
    }) }}

    union all

    {{ column_checks('foi_requests', 'raw_dynamics.foi_requests', 'request_reference', {
        'topic': ('topic_name is not null', listed_fault('topic_name')),
        'receivedon': ('received_date is not null', date_fault('received_date', 'as_at_date')),
        'answeredon': (
            'answered_date is not null',
            "coalesce(case when answered_date < received_date then 'FOI01' end, "
            ~ date_fault('answered_date', 'as_at_date') ~ ')'
        ),
        'clarificationaskedon': (
            'clarification_asked_date is not null', date_fault('clarification_asked_date', 'as_at_date')
        ),
        'clarifiedon': ('clarified_date is not null', date_fault('clarified_date', 'as_at_date')),
        'feenoticeon': ('fees_notice_date is not null', date_fault('fees_notice_date', 'as_at_date')),
        'feepaidon': ('fee_paid_date is not null', date_fault('fee_paid_date', 'as_at_date')),
        'extendedon': ('extended_date is not null', date_fault('extended_date', 'as_at_date')),
        'reviewaskedon': ('review_asked_date is not null', date_fault('review_asked_date', 'as_at_date')),
        'reviewansweredon': ('review_answered_date is not null', date_fault('review_answered_date', 'as_at_date')),
        'exemption': ("outcome_name in ('Granted in part', 'Refused')",
            "case when exemption_name is null then 'FOI02' end"),
    }) }}

    union all

    {{ column_checks('complaints', 'raw_dynamics.complaints', 'complaint_stage_reference', {
        'acknowledgedon': ('acknowledged_date is not null', date_fault('acknowledged_date', 'as_at_date')),
        'respondedon': ('responded_date is not null', date_fault('responded_date', 'as_at_date')),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
