with

int_care_services_conformed as (

    select * from {{ ref('int_care_services_conformed') }}

),

int_care_people_conformed as (

    select * from {{ ref('int_care_people_conformed') }}

),

reviews as (

    select * from {{ ref('stg_mosaic__reviews') }}

),

int_care_as_at_dated as (

    select * from {{ ref('int_care_as_at_dated') }}

),

dim_dates as (

    select * from {{ ref('dim_dates') }}

),

-- the periods in which a person had long-term support without a day between them
supported as (

    select
        person_key,
        range_agg(daterange(start_date, end_date, '[]')) as periods
    from int_care_services_conformed
    where is_long_term_support
    group by person_key

),

years as (

    select
        dim_dates.date_day as year_end_date,
        (dim_dates.date_day + 1 - interval '1 year')::date as year_start_date
    from dim_dates
    cross join int_care_as_at_dated
    where
        to_char(dim_dates.date_day, 'MM-DD') = '03-31'
        and dim_dates.date_day <= int_care_as_at_dated.as_at_date

),

reviewed as (

    select distinct
        int_care_people_conformed.person_key,
        years.year_end_date
    from reviews
    inner join int_care_people_conformed
        on reviews.person_token = int_care_people_conformed.person_token
    inner join years
        on reviews.end_date between years.year_start_date and years.year_end_date

),

final as (

    select
        {{ surrogate_key(['supported.person_key', 'years.year_end_date']) }} as support_year_key,
        supported.person_key,
        int_care_people_conformed.restriction,
        {{ age_group('int_care_people_conformed.birth_month', 'years.year_end_date') }} as age_group,
        supported.periods @> years.year_end_date as is_supported_at_year_end,
        -- from 31 March to 31 March
        supported.periods @> daterange(years.year_start_date - 1, years.year_end_date, '[]')
            as is_supported_for_12_months,
        reviewed.person_key is not null as is_reviewed,
        years.year_end_date
    from supported
    inner join years
        on supported.periods && daterange(years.year_start_date, years.year_end_date, '[]')
    inner join int_care_people_conformed
        on supported.person_key = int_care_people_conformed.person_key
    left join reviewed
        on
            supported.person_key = reviewed.person_key
            and years.year_end_date = reviewed.year_end_date

)

select * from final
