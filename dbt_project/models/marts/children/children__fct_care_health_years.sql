with

outcomes as (

    select * from {{ ref('stg_ssda903__outcomes') }}

),

-- the return is of the year to the last 31 March before its files were written
dated as (

    select
        *,
        make_date(extract(year from {{ extract_date('ssda903') }} - interval '3 months')::integer, 3, 31)
            as year_end_date
    from outcomes

),

final as (

    select
        {{ content_key(['child_token', 'year_end_date']) }} as care_health_key,
        {{ child_age('birth_month', 'year_end_date') }} as age_years,
        case when sdq_score between 0 and 40 then sdq_score end::integer as sdq_score,
        is_convicted,
        is_immunised,
        is_teeth_check_done,
        is_health_assessed,
        -- development checks are for children under five
        case when {{ child_age('birth_month', 'year_end_date') }} < 5 then is_health_check_done end
            as is_health_check_done,
        is_misusing_substances,
        year_end_date
    from dated

)

select * from final
