with

source as (

    select * from {{ source('raw_dynamics', 'complaints') }}

),

renamed as (

    select
        -- ids
        {{ clean_text('reference') }} as complaint_stage_reference,
        {{ clean_text('complaint') }} as complaint_reference,

        -- text
        {{ clean_text('subject') }} as service_name,
        {{ clean_code('outcome') }} as outcome_name,

        -- numbers
        stage::integer as stage_number,

        -- dates
        receivedon as received_date,
        acknowledgedon as acknowledged_date,
        respondedon as responded_date,
        modifiedon as updated_at

    from source

)

select * from renamed
