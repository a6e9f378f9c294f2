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
        coalesce(libraries__dim_branches.branch_name, 'Not known') as branch_name,
        libraries__fct_branch_months.population / 1000.0 as thousands,
        libraries__fct_branch_months.loans,
        libraries__fct_branch_months.visits,
        {{ unless_few('libraries__fct_member_months.active_members') }} as active_members
    from libraries__fct_branch_months
    left join libraries__fct_member_months
        on
            libraries__fct_branch_months.branch_key = libraries__fct_member_months.branch_key
            and libraries__fct_branch_months.month_start_date = libraries__fct_member_months.month_start_date
    left join libraries__dim_branches
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
        sum(measured.loans) as loans,
        sum(measured.visits)::bigint as visits,
        {{ unless_few('max(county_members.county_active_members)') }} as active_members
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

final as (

    select
        month_start_date as "Month",
        branch_name as "Library",
        loans as "Loans",
        visits as "Visits",
        active_members as "Active members",
        round(loans / nullif(thousands, 0), 1)::numeric(12, 1) as "Loans per 1000 population",
        round(visits / nullif(thousands, 0), 1)::numeric(12, 1) as "Visits per 1000 population",
        round(active_members / nullif(thousands, 0), 1)::numeric(12, 1) as "Active members per 1000 population"
    from unioned

)

select * from final
