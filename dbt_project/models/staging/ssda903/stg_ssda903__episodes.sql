with

source as (

    select * from {{ source('raw_ssda903', 'episodes') }}

),

renamed as (

    select
        -- ids
        _source_file as source_file,
        _source_row as source_row_number,
        child as child_token,
        {{ clean_code('rne') }} as begin_reason_code,
        {{ clean_code('ls') }} as legal_status_code,
        {{ clean_code('cin') }} as need_code,
        {{ clean_code('place') }} as placement_code,
        {{ clean_code('place_provider') }} as placement_provider_code,
        {{ clean_code('rec') }} as end_reason_code,
        {{ clean_code('reason_place_change') }} as placement_change_reason_code,
        home_post as home_postcode_token,
        pl_post as placement_postcode_token,

        -- text
        home_post_fault as home_postcode_fault,
        pl_post_fault as placement_postcode_fault,

        -- dates
        decom as began_date,
        dec as ended_date

    from source

)

select * from renamed
