with

source as (

    select * from {{ source('raw_mosaic', 'dm_organisations') }}

),

renamed as (

    select
        -- ids
        organisation_id,

        -- text
        {{ clean_text('organisation_name') }} as organisation_name,
        {{ normalised_organisation_name('organisation_name') }} as normalised_name,
        {{ clean_text('organisation_type') }} as organisation_type

    from source

)

select * from renamed
