with

source as (

    select * from {{ source('raw_regulatory', 'service_requests') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        {{ clean_text('ref') }} as service_request_reference,
        {{ clean_text('ward_number') }} as ward_number,
        {{ clean_text('output_areas') }} as output_area_number,
        {{ clean_text('lower_layer_super_output_areas') }} as lsoa_number,
        {{ clean_text('middle_layer_super_output_areas') }} as msoa_number,
        {{ clean_text('boundary') }} as boundary_number,

        -- text
        {{ clean_text('kind') }} as kind_name,
        {{ clean_text('type') }} as type_name_raw,
        {{ clean_text('status') }} as status_name,
        {{ clean_text('received_how') }} as received_how,
        {{ clean_text('received_where') }} as received_where,
        location as location_text,

        -- numbers
        {{ known_coordinate('latitude', 'longitude') }} as latitude,
        {{ known_coordinate('longitude', 'latitude') }} as longitude,

        -- booleans
        coalesce(lower({{ clean_text('status') }}) <> 'closed', true) as is_open,

        -- dates
        received_date as received_at,
        {{ local_date('received_date') }} as received_date,
        -- a date: most values are midnight, because only the day is known, and would be before the time of receipt
        {{ local_date('closed_date') }} as closed_date

    from source

)

select * from renamed
