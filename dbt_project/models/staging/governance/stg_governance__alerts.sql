with

source as (

    select * from {{ source('governance', 'alerts') }}

),

renamed as (

    select
        -- ids
        alert_id,

        -- text; a folder of the server may be named after a person
        kind,
        case when kind <> 'disk_full' then subject end as subject,
        array_to_string(sets, ' ') as publish_sets,

        -- numbers
        occurrences,
        cardinality(sets) as publish_set_count,
        cardinality(reports) as report_count,

        -- dates
        began_at,
        resolved_at as ended_at

    from source

)

select * from renamed
