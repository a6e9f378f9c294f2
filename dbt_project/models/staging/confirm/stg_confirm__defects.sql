with

source as (

    select * from {{ source('raw_confirm', 'defect') }}

),

renamed as (

    select
        -- ids
        instruction_uid as defect_id,
        {{ clean_text('job_reference') }} as job_reference,
        {{ clean_text('enquiry_reference') }} as enquiry_reference,
        {{ clean_text('esu_uid') }} as esu_id,
        {{ usrn('usrn') }} as usrn,
        usrn as usrn_raw,

        -- text
        {{ clean_text('response_time_name') }} as response_time_name,
        {{ clean_text('item_category_name') }} as item_category_name,
        {{ clean_text('item_type_name') }} as defect_type_name,
        {{ clean_text('item_detail_name') }} as item_detail_name,
        {{ clean_text('instruction_type_name') }} as instruction_type_name,
        {{ clean_text('defect_category_name') }} as defect_category_name,
        {{ standard_street_name('street_name') }} as street_name,
        street_name as street_name_raw,
        {{ clean_text('town_name') }} as town_name,
        {{ clean_text('repair_gang') }} as repair_gang_name,

        -- numbers
        {{ known_coordinate('easting', 'northing') }} as easting,
        {{ known_coordinate('northing', 'easting') }} as northing,

        -- dates
        {{ known_time('date_reported') }} as reported_at,
        {{ known_time('required_start_date') }} as required_start_at,
        {{ known_time('required_completion_date') }} as required_completion_at,
        {{ known_time('actual_completion_date') }} as completed_at

    from source

)

select * from renamed
