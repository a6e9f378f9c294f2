with

employees as (

    select * from {{ ref('stg_itrent__employees') }}

),

months as (

    select distinct
        unit_code,
        unit_name,
        directorate_name,
        month_end_date
    from employees

),

compared as (

    select
        *,
        (
            unit_name is distinct from lag(unit_name) over (partition by unit_code order by month_end_date)
            or directorate_name is distinct from lag(directorate_name) over (
                partition by unit_code order by month_end_date
            )
        ) as is_change
    from months

),

numbered as (

    select
        *,
        count(*) filter (where is_change) over (partition by unit_code order by month_end_date) as version_number
    from compared

),

versions as (

    select
        unit_code,
        unit_name,
        directorate_name,
        date_trunc('month', min(month_end_date))::date as first_month_date,
        max(month_end_date) as last_seen_date
    from numbered
    group by unit_code, unit_name, directorate_name, version_number

),

bounded as (

    select
        *,
        lead(first_month_date) over (partition by unit_code order by first_month_date) as next_month_date,
        max(last_seen_date) over () as latest_date
    from versions

),

final as (

    select
        {{ surrogate_key(['unit_code', 'first_month_date']) }} as organisation_unit_key,
        unit_code,
        unit_name,
        directorate_name,
        first_month_date as valid_from_date,
        coalesce(
            next_month_date - 1,
            case when last_seen_date < latest_date then last_seen_date end
        ) as valid_to_date,
        next_month_date is null and last_seen_date = latest_date as is_current
    from bounded

)

select * from final
