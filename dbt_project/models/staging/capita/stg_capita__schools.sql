with

source as (

    select * from {{ source('raw_capita', 'schools') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('urn') }} as urn,
        {{ clean_code('laestab') }} as laestab,
        {{ clean_code('predecessor_urn') }} as predecessor_urn,
        {{ clean_text('postcode') }} as postcode,

        -- text
        {{ clean_text('school_name') }} as school_name,
        {{ clean_text('phase') }} as phase_name,

        -- dates
        open_date as opened_date,
        close_date as closed_date

    from source

)

select * from renamed
