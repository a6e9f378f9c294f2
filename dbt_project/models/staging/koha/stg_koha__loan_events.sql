with

source as (

    select * from {{ source('raw_koha', 'statistics') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        borrowernumber as borrower_token,
        {{ clean_code('branch') }} as branch_code,
        itemnumber as item_number,
        lower({{ clean_text('type') }}) as loan_event_type,

        -- dates
        datetime as occurred_at

    from source

)

select * from renamed
