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
        'receivedon': date_check('received_date'),
        'answeredon': (
            'answered_date is not null',
            "coalesce(case when answered_date < received_date then 'FOI01' end, "
            ~ date_fault('answered_date', 'as_at_date') ~ ')'
        ),
        'clarificationaskedon': date_check('clarification_asked_date'),
        'clarifiedon': date_check('clarified_date'),
        'feenoticeon': date_check('fees_notice_date'),
        'feepaidon': date_check('fee_paid_date'),
        'extendedon': date_check('extended_date'),
        'reviewaskedon': date_check('review_asked_date'),
        'reviewansweredon': date_check('review_answered_date'),
        'exemption': ("outcome_name in ('Granted in part', 'Refused')",
            "case when exemption_name is null then 'FOI02' end"),
    }) }}

    union all

    {{ column_checks('complaints', 'raw_dynamics.complaints', 'complaint_stage_reference', {
        'acknowledgedon': date_check('acknowledged_date'),
        'respondedon': date_check('responded_date'),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
