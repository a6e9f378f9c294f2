with

source as (

    select * from {{ source('governance', 'publications') }}

),

renamed as (

    select
        -- ids
        publication_id,
        build_id,

        -- text
        publish_set,
        case action
            when 'publish' then 'Published'
            when 'refuse' then 'Refused'
            when 'roll_back' then 'Rolled back'
        end as outcome,

        -- numbers
        models as model_count,
        tests_passed,
        tests_warned,
        tests_failed,

        -- dates
        decided_at

    from source

)

select * from renamed
