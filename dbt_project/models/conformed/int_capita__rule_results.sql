with

pupils as (

    select * from {{ ref('stg_capita__pupils') }}

),

staged_enrolments as (

    select * from {{ ref('stg_capita__enrolments') }}

),

staged_attendances as (

    select * from {{ ref('stg_capita__attendances') }}

),

suspensions as (

    select * from {{ ref('stg_capita__suspensions') }}

),

staged_ehcps as (

    select * from {{ ref('stg_capita__ehcps') }}

),

bridge_pupils_upns as (

    select * from {{ ref('bridge_pupils_upns') }}

),

bridge_schools_urns as (

    select * from {{ ref('bridge_schools_urns') }}

),

attendance_codes as (

    select * from {{ ref('attendance_codes') }}

),

pupil_ethnicities as (

    select * from {{ ref('pupil_ethnicities') }}

),

sen_needs as (

    select * from {{ ref('sen_needs') }}

),

-- a constant for each former number, so that no part of the number is in the result
former_upns as (

    select
        upn_token,
        'EDU01' as fault
    from bridge_pupils_upns
    where is_former

),

enrolments as (

    select
        staged_enrolments.*,
        former_upns.fault as upn_fault,
        case when staged_enrolments.laestab <> bridge_schools_urns.laestab then 'EDU03' end as laestab_fault
    from staged_enrolments
    left join former_upns
        on staged_enrolments.upn_token = former_upns.upn_token
    left join bridge_schools_urns
        on staged_enrolments.urn = bridge_schools_urns.urn

),

attendances as (

    select
        staged_attendances.*,
        former_upns.fault as upn_fault,
        case when attendance_codes.session_code is null then 'EDU02' end as session_code_fault
    from staged_attendances
    left join former_upns
        on staged_attendances.upn_token = former_upns.upn_token
    left join attendance_codes
        on
            staged_attendances.session_code = attendance_codes.session_code
            and {{ is_in_force('attendance_codes', 'staged_attendances.week_start_date') }}

),

ehcps as (

    select
        staged_ehcps.*,
        case when sen_needs.need_code is null then 'EDU06' end as primary_need_fault,
        {{ date_fault('staged_ehcps.requested_date', extract_date('capita')) }} as requested_fault,
        coalesce(
            {{ date_fault('staged_ehcps.decided_date', extract_date('capita')) }},
            case when staged_ehcps.decided_date < staged_ehcps.requested_date then 'EDU05' end
        ) as decided_fault,
        {{ date_fault('staged_ehcps.issued_date', extract_date('capita')) }} as issued_fault
    from staged_ehcps
    left join sen_needs
        on staged_ehcps.primary_need_code = sen_needs.need_code

),

pupil_records as (

    select
        pupils.*,
        case when pupil_ethnicities.ethnicity_code is null then 'EDU07' end as ethnicity_fault
    from pupils
    left join pupil_ethnicities
        on pupils.ethnicity_code = pupil_ethnicities.ethnicity_code

),

unioned as (

    {%- set file_row = "concat_ws(':', source_file, source_row_number)" %}
    {{ column_checks('pupil_records', 'raw_capita.pupils', file_row, {
        'upn': ('upn_token is not null', 'upn_fault'),
        'surname': ('has_surname', 'surname_fault'),
        'forename': ('has_forename', 'forename_fault'),
        'date_of_birth': ('coalesce(birth_month::text, date_of_birth_fault) is not null', 'date_of_birth_fault'),
        'postcode': ('has_postcode', 'postcode_fault'),
        'ethnicity': ('ethnicity_code is not null', 'ethnicity_fault'),
        'sex': ('sex_code is not null', listed_fault('sex_code')),
    }) }}

    union all

    {{ column_checks('enrolments', 'raw_capita.enrolments', file_row, {
        'upn': ('upn_token is not null', 'upn_fault'),
        'laestab': ('laestab is not null', 'laestab_fault'),
    }) }}

    union all

    {{ column_checks('attendances', 'raw_capita.attendance', file_row, {
        'upn': ('upn_token is not null', 'upn_fault'),
        'session_code': ('session_code is not null', 'session_code_fault'),
    }) }}

    union all

    {{ column_checks('suspensions', 'raw_capita.suspensions', file_row, {
        'start_date': date_check('start_date', extract_date('capita')),
        'sessions_lost': ('sessions_lost_raw is not null', "case when sessions_lost is null then 'EDU04' end"),
        'reason': ('reason_code is not null', listed_fault('reason_code')),
    }) }}

    union all

    {{ column_checks('ehcps', 'raw_capita.ehcps', file_row, {
        'requested_date': ('requested_date is not null', 'requested_fault'),
        'decided_date': ('decided_date is not null', 'decided_fault'),
        'issued_date': ('issued_date is not null', 'issued_fault'),
        'primary_need': ('primary_need_code is not null', 'primary_need_fault'),
        'outcome': ('outcome_name is not null', listed_fault('outcome_name')),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
