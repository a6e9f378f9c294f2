with

source as (

    select * from {{ source('raw_reference', 'bank_holidays') }}

),

renamed as (

    select
        -- ids
        division as division_code,

        -- text
        title as bank_holiday_name,

        -- dates
        date as bank_holiday_date

    from source

)

select * from renamed
