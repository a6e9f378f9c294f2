with

source as (

    select * from {{ source('governance', 'builds') }}

),

renamed as (

    select
        -- ids
        build_id,

        -- numbers
        cardinality(raw_tables) as raw_table_count,
        (tested ->> 'model_seconds')::numeric as model_seconds,

        -- dates
        opened_at

    from source

)

select * from renamed
