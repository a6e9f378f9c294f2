with

source as (

    select * from {{ source('raw_fixmystreet', 'reports') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        substring(url from '/report/(\d+)') as report_number,
        {{ clean_text('ward_number') }} as ward_number,
        {{ clean_text('output_areas') }} as output_area_number,
        {{ clean_text('lower_layer_super_output_areas') }} as lsoa_number,
        {{ clean_text('middle_layer_super_output_areas') }} as msoa_number,
        {{ clean_text('boundary') }} as boundary_number,

        -- text
        {{ clean_text('state') }} as state_name,
        case {{ clean_text('state') }}
            when 'confirmed' then 'open'
            when 'unconfirmed' then 'open'
            when 'fixed' then 'closed'
            when 'fixed - user' then 'closed'
            when 'hidden' then 'hidden'
        end as report_status_code,
        {{ clean_text('category') }} as category_name,
        {{ clean_text('ward') }} as ward_name,
        {{ clean_text('url') }} as url,
        location as location_text,
        title,

        -- numbers
        {{ known_coordinate('latitude', 'longitude') }} as latitude,
        {{ known_coordinate('longitude', 'latitude') }} as longitude,

        -- dates
        created as reported_at,
        whensent as sent_at,
        lastupdate as updated_at

    from source

)

select * from renamed
