with

source as (

    select * from {{ source('governance', 'build_tables') }}

),

renamed as (

    select
        -- ids
        build_id,

        -- text
        table_name,

        -- numbers
        row_count

    from source

)

select * from renamed
