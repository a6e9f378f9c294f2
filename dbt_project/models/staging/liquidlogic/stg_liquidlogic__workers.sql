with

source as (

    select * from {{ source('raw_liquidlogic', 'dim_worker') }}

),

renamed as (

    select
        -- ids
        dim_worker_id as worker_token,

        -- text
        {{ clean_text('job_title') }} as job_title,
        {{ clean_text('department_name') }} as team_name,

        -- numbers
        full_time_equivalency as full_time_equivalent,

        -- dates
        updated_dttm as updated_at,
        valid_from,
        valid_to

    from source

)

select * from renamed
