with

source as (

    select * from {{ source('raw_koha', 'itemtypes') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('itemtype') }} as item_type_code,

        -- text
        {{ clean_text('description') }} as item_type_name

    from source

)

select * from renamed
