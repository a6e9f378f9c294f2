with

source as (

    select * from {{ source('raw_procurement', 'apodetail') }}

),

renamed as (

    select
        -- ids
        order_id,
        line_no as line_number,
        {{ clean_code('dim_1') }} as cost_centre_code,

        -- text
        {{ clean_text('article') }} as article_name,

        -- numbers
        amount as ordered_gbp,

        -- dates
        last_update as updated_at

    from source

)

select * from renamed
