with

int_enrolments_conformed as (

    select * from {{ ref('int_enrolments_conformed') }}

),

education__fct_suspensions as (

    select * from {{ ref('education__fct_suspensions') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

-- the school census in January is on its third Thursday, the one Thursday of the days 15 to 21. Before the first
-- suspension, the extract has only pupils who are on a roll now
census_days as (

    select
        date_day as census_date,
        {{ academic_year('date_day') }} as academic_year
    from dim_dates
    where
        extract(month from date_day) = 1
        and extract(day from date_day) between 15 and 21
        and extract(isodow from date_day) = 4
        and date_day <= {{ extract_date('capita') }}
        and {{ academic_year('date_day') }} >= (
            select min(education__fct_suspensions.academic_year) from education__fct_suspensions
        )

),

rolls as (

    select
        int_enrolments_conformed.school_key,
        census_days.academic_year,
        count(distinct int_enrolments_conformed.person_key) as pupils_on_roll
    from int_enrolments_conformed
    inner join census_days
        on
            int_enrolments_conformed.entry_date <= census_days.census_date
            and coalesce(int_enrolments_conformed.leaving_date, 'infinity') >= census_days.census_date
    group by int_enrolments_conformed.school_key, census_days.academic_year

),

suspended as (

    select
        school_key,
        academic_year,
        count(*) filter (where not is_permanent) as suspension_count,
        count(*) filter (where is_permanent) as exclusion_count
    from education__fct_suspensions
    where academic_year in (select census_days.academic_year from census_days)
    group by school_key, academic_year

),

joined as (

    select
        coalesce(rolls.school_key, suspended.school_key) as school_key,
        coalesce(rolls.academic_year, suspended.academic_year) as academic_year,
        coalesce(rolls.pupils_on_roll, 0) as pupils_on_roll,
        coalesce(suspended.suspension_count, 0) as suspension_count,
        coalesce(suspended.exclusion_count, 0) as exclusion_count
    from rolls
    full join suspended
        on
            rolls.school_key = suspended.school_key
            and rolls.academic_year = suspended.academic_year

),

final as (

    select
        {{ surrogate_key(['school_key', 'academic_year']) }} as suspension_year_key,
        school_key,
        academic_year,
        pupils_on_roll,
        suspension_count,
        exclusion_count,
        make_date(left(academic_year, 4)::integer, 9, 1) as academic_year_start_date
    from joined

)

select * from final
