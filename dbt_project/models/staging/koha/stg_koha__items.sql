with

source as (

    select * from {{ source('raw_koha', 'items') }}

),

renamed as (

    select
        -- ids
        itemnumber as item_number,
        {{ clean_code('homebranch') }} as branch_code,
        {{ clean_code('itype') }} as item_type_code

    from source

)

select * from renamed
