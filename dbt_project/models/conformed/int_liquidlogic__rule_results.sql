{% set links = {
    'contacts': ('fact_contacts', 'contact_id'),
    'referrals': ('fact_referrals', 'referral_id'),
    'single_assessments': ('fact_single_assessment', 'single_assessment_id'),
    'cp_plans': ('fact_cp_plan', 'cp_plan_id'),
    'clas': ('fact_cla', 'cla_id'),
    'care_episodes': ('fact_care_episodes', 'care_episode_id'),
    'involvements': ('fact_involvements', 'involvement_id'),
    'person_addresses': ('dim_person_address', 'person_address_id'),
} %}

with

bridge_children_persons as (

    select * from {{ ref('bridge_children_persons') }}

),

pupil_ethnicities as (

    select * from {{ ref('pupil_ethnicities') }}

),

int_referrals_conformed as (

    select * from {{ ref('int_referrals_conformed') }}

),

int_care_episodes_conformed as (

    select * from {{ ref('int_care_episodes_conformed') }}

),

int_protection_plans_conformed as (

    select * from {{ ref('int_protection_plans_conformed') }}

),

int_children_as_at_dated as (

    select * from {{ ref('int_children_as_at_dated') }}

),

persons as (

    select
        persons.*,
        bridge_children_persons.finding_record_key,
        pupil_ethnicities.ethnicity_code is not null as is_ethnicity_known
    from {{ ref('stg_liquidlogic__persons') }} as persons
    inner join bridge_children_persons
        on persons.person_token = bridge_children_persons.person_token
    left join pupil_ethnicities
        on persons.ethnicity_code = pupil_ethnicities.ethnicity_code

),

{% for model in links %}
    {{ model }} as (

        select
            {{ model }}.*,
            case
                when bridge_children_persons.person_token is null then 'CSC01'
                when bridge_children_persons.is_merged then 'CSC02'
            end as person_fault
        from {{ ref('stg_liquidlogic__' ~ model) }} as {{ model }}
        left join bridge_children_persons
            on {{ model }}.person_token = bridge_children_persons.person_token

    ),
{% endfor %}

assessments_of_referrals as (

    select
        single_assessments.single_assessment_id,
        single_assessments.completed_date,
        int_children_as_at_dated.as_at_date,
        single_assessments.begun_date < referrals.referred_date as is_before_referral
    from single_assessments
    cross join int_children_as_at_dated
    inner join referrals
        on single_assessments.referral_id = referrals.referral_id

),

unioned as (

    {{ column_checks('persons', 'raw_liquidlogic.dim_person', 'finding_record_key', {
        'nhs_number': 'nhs_number',
        'upn': 'upn',
        'forename': 'forename',
        'surname': 'surname',
        'birth_dttm': 'birth_date',
        'dob_estimated': ('is_birth_date_estimated is not null', "case when is_birth_date_estimated then 'CSC05' end"),
        'ethnicity_main_code': ('ethnicity_code is not null', "case when not is_ethnicity_known then 'CSC07' end"),
        'gender_main_code': ('sex_code is not null', listed_fault('sex_code')),
    }) }}

    union all

    {{ column_checks('person_addresses', 'raw_liquidlogic.dim_person_address', 'person_address_id', {
        'address': 'address',
        'postcode': 'postcode',
        'uprn': 'uprn',
    }) }}

    {% for model, (raw_table, key) in links.items() %}
        union all

        {{ column_checks(model, 'raw_liquidlogic.' ~ raw_table, key, {'dim_person_id': ('true', 'person_fault')}) }}
    {% endfor %}

    union all

    {{ column_checks('int_referrals_conformed', 'raw_liquidlogic.fact_referrals', 'referral_id', {
        'refrl_start_dttm': date_check('referred_date'),
        'refrl_end_dttm': (
            'not is_open or closed_fault is not null',
            "case when is_closed_before_opened then 'CSC03' else closed_fault end"
        ),
        'dim_lookup_category_of_need_code': (
            'need_code is not null', "case when need_name is null then 'CSC08' end"
        ),
        'dim_lookup_refrl_endrsn_id_code': ('closure_reason_code is not null', listed_fault('closure_reason_code')),
    }) }}

    union all

    {{ column_checks('assessments_of_referrals', 'raw_liquidlogic.fact_single_assessment', 'single_assessment_id', {
        'start_dttm': ('is_before_referral is not null', "case when is_before_referral then 'CSC06' end"),
        'completed_dttm': date_check('completed_date'),
    }) }}

    union all

    {{ column_checks('int_protection_plans_conformed', 'raw_liquidlogic.fact_cp_plan', 'cp_plan_id', {
        'start_dttm': date_check('began_date'),
        'end_dttm': (
            'not is_open or ended_fault is not null',
            "case when is_ended_before_began then 'CSC09' else ended_fault end"
        ),
        'init_category_desc': ('initial_category_name is not null', listed_fault('initial_category_name')),
        'cp_category_desc': ('latest_category_name is not null', listed_fault('latest_category_name')),
    }) }}

    union all

    {{ column_checks('int_care_episodes_conformed', 'raw_liquidlogic.fact_care_episodes', 'care_episode_id', {
        'care_start_date': date_check('began_date'),
        'care_end_date': (
            'is_overlapping or not is_open',
            "case when is_ended_before_began then 'CSC10' when is_overlapping then 'CSC04' end"
        ),
        'care_reason_code': ('begin_reason_code is not null', listed_fault('begin_reason_code')),
        'care_reason_end_code': ('end_reason_code is not null', listed_fault('end_reason_code')),
        'cin_903_code': ('need_code is not null', listed_fault('need_code')),
        'ls_903_code': ('legal_status_code is not null', listed_fault('legal_status_code')),
        'place_903_code': ('placement_code is not null', listed_fault('placement_code')),
        'place_provider_903_code': ('placement_provider_code is not null', listed_fault('placement_provider_code')),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
