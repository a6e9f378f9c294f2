with

source as (

    select * from {{ source('raw_capita', 'suspensions') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        upn as upn_token,
        {{ clean_code('urn') }} as urn,
        {{ clean_code('category') }} as exclusion_category_code,
        {{ listed(clean_code('reason'), code_list('suspension_reason')) }} as reason_code,

        -- numbers
        -- a pupil may be suspended for at most 45 days (90 half-day sessions) in a school year
        case when sessions_lost between 1 and 90 then sessions_lost::integer end as sessions_lost,
        sessions_lost as sessions_lost_raw,

        -- dates
        start_date

    from source

)

select * from renamed
