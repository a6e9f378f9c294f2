with

source as (

    select * from {{ source('raw_capita', 'ehcps') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        upn as upn_token,
        {{ clean_code('primary_need') }} as primary_need_code,

        -- text
        {{ listed(clean_text('outcome'), code_list('ehcp_outcome')) }} as outcome_name,

        -- booleans
        {{ clean_code('exception') }} = 'Y' as is_exception,

        -- dates
        requested_date,
        decided_date,
        issued_date

    from source

)

select * from renamed
