{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'figures': {
        'Referrals': {'count': 'referral_count'},
        'No further action': {'count': 'no_further_action_count', 'part_of': 'Referrals'},
        'Repeat referrals': {'count': 'rereferral_count', 'part_of': 'Referrals'},
        'Assessed': {'count': 'assessed_count', 'part_of': 'Referrals'},
        'Assessments completed in 45 working days': {'count': 'in_time_count'},
        'Assessments completed late': {'count': 'late_count'},
        'Per cent in 45 working days': {
            'derived': '100.0 * "Assessments completed in 45 working days" / nullif('
                '"Assessments completed in 45 working days" + "Assessments completed late", 0)',
            'type': 'numeric(5, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

children__fct_referral_journeys as (

    select * from {{ ref('children__fct_referral_journeys') }}

),

children__fct_assessments as (

    select * from {{ ref('children__fct_assessments') }}

),

completed as (

    select
        date_trunc('month', completed_date)::date as month_start_date,
        count(*) filter (where is_in_45_working_days) as in_time_count,
        count(*) filter (where not is_in_45_working_days) as late_count
    from children__fct_assessments
    where completed_date <= as_at_date
    group by date_trunc('month', completed_date)::date

),

counted as (

    select
        date_trunc('month', referred_date)::date as month_start_date,
        count(*) as referral_count,
        count(*) filter (where is_no_further_action) as no_further_action_count,
        count(*) filter (where is_rereferral) as rereferral_count,
        count(*) filter (where is_assessed) as assessed_count,
        max(as_at_date) as as_at_date
    from children__fct_referral_journeys
    where referred_date <= as_at_date
    group by date_trunc('month', referred_date)::date

),

joined as (

    select
        counted.*,
        coalesce(completed.in_time_count, 0) as in_time_count,
        coalesce(completed.late_count, 0) as late_count
    from counted
    left join completed
        on counted.month_start_date = completed.month_start_date

),

disclosed as (

    {{ disclosed('joined', disclosure) }}

),

final as (

    select
        month_start_date as "Month",
        "Referrals",
        "No further action",
        "Repeat referrals",
        "Assessed",
        "Assessments completed in 45 working days",
        "Assessments completed late",
        "Per cent in 45 working days",
        as_at_date as "As at",
        "Suppressed figures"
    from disclosed

)

select * from final
