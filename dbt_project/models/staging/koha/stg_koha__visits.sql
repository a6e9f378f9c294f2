with

source as (

    select * from {{ source('raw_koha', 'visits') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        {{ clean_code('branch_code') }} as branch_code,

        -- numbers
        visits as visit_count,

        -- dates
        -- footfall_2025-26 covers April 2025 to March 2026
        to_date(
            left(month, 3) || ' ' || (
                substring(_source_file from '(20\d\d)-\d\d')::integer
                + case when left(month, 3) in ('Jan', 'Feb', 'Mar') then 1 else 0 end
            ),
            'Mon YYYY'
        ) as month_start_date

    from source

)

select * from renamed
