{% set disclosure = {
    'threshold': 5,
    'rounding_base': 5,
    'minimum_group': 10,
    'total_rows': "branch_name = 'All libraries'",
    'figures': {
        'Active members': {'count': 'active_members', 'total_is_distinct': true},
        'Active members per 1000 population': {
            'derived': '"Active members" / nullif(thousands, 0)',
            'type': 'numeric(12, 1)',
        },
    },
} %}
{{ config(meta={'disclosure': disclosure}) }}

with

libraries__fct_branch_months as (

    select * from {{ ref('libraries__fct_branch_months') }}

),

libraries__fct_member_months as (

    select * from {{ ref('libraries__fct_member_months') }}

),

libraries__dim_branches as (

    select * from {{ ref('libraries__dim_branches') }}

),

measured as (

    select
        libraries__fct_branch_months.month_start_date,
        libraries__dim_branches.branch_name,
        libraries__fct_branch_months.population / 1000.0 as thousands,
        libraries__fct_branch_months.loans,
        libraries__fct_branch_months.visits,
        coalesce(libraries__fct_member_months.active_members, 0) as active_members
    from libraries__fct_branch_months
    left join libraries__fct_member_months
        on
            libraries__fct_branch_months.branch_key = libraries__fct_member_months.branch_key
            and libraries__fct_branch_months.month_start_date = libraries__fct_member_months.month_start_date
    inner join libraries__dim_branches
        on libraries__fct_branch_months.branch_key = libraries__dim_branches.branch_key

),

county_members as (

    select distinct
        month_start_date,
        county_active_members
    from libraries__fct_member_months

),

-- active members of the county are counted once, whatever the number of their branches
county as (

    select
        measured.month_start_date,
        'All libraries' as branch_name,
        sum(measured.thousands) as thousands,
        sum(measured.loans)::bigint as loans,
        sum(measured.visits)::bigint as visits,
        coalesce(max(county_members.county_active_members), 0) as active_members
    from measured
    left join county_members
        on measured.month_start_date = county_members.month_start_date
    group by measured.month_start_date

),

unioned as (

    select * from measured
    union all
    select * from county

),

disclosed as (

    {{ disclosed('unioned', disclosure) }}

),

final as (

    select
        month_start_date as "Month",
        branch_name as "Library",
        loans as "Loans",
        visits as "Visits",
        round(loans / nullif(thousands, 0), 1)::numeric(12, 1) as "Loans per 1000 population",
        round(visits / nullif(thousands, 0), 1)::numeric(12, 1) as "Visits per 1000 population",
        "Active members",
        "Active members per 1000 population",
        "Suppressed figures"
    from disclosed

)

select * from final
