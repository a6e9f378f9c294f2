with

care_leavers as (

    select * from {{ ref('stg_ssda903__care_leavers') }}

),

-- the return is of the year to the last 31 March before its files were written
dated as (

    select
        *,
        make_date(extract(year from {{ extract_date('ssda903') }} - interval '3 months')::integer, 3, 31)
            as year_end_date
    from care_leavers

),

final as (

    select
        {{ content_key(['child_token', 'year_end_date']) }} as care_leaver_key,
        {{ child_age('birth_month', 'year_end_date') }} as age_years,
        coalesce(in_touch_code not in ('DIED', 'RHOM'), true) as is_counted,
        coalesce(in_touch_code = 'YES', false) as is_in_touch,
        coalesce(activity_code ~ '^[FP]', false) as is_in_education_or_work,
        coalesce(accommodation_code ~ '^[A-Z]1$', false) as is_in_suitable_accommodation,
        year_end_date
    from dated

)

select * from final
