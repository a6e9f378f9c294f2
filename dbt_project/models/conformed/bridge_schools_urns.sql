with

schools as (

    select * from {{ ref('stg_capita__schools') }}

),

final as (

    select
        urn,
        laestab,
        {{ surrogate_key(['coalesce(predecessor_urn, urn)']) }} as school_key
    from schools

)

select * from final
