with

dim_schools as (

    select * from {{ ref('dim_schools') }}

),

final as (

    select
        school_key,
        urn,
        laestab,
        school_name,
        phase_name,
        district_code,
        district_name,
        pupils_on_roll,
        is_open,
        converted_date
    from dim_schools

)

select * from final
