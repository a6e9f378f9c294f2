with

source as (

    select * from {{ source('raw_itrent', 'absence') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('absence_ref') }} as absence_reference,
        employee_number as employee_token,

        -- text
        {{ listed(clean_text('absence_type'), code_list('absence_type')) }} as absence_type_name,
        {{ listed(clean_text('absence_reason'), code_list('absence_reason')) }} as absence_reason_name,

        -- numbers
        working_days_lost as source_working_days_lost,

        -- dates
        extract_date as month_end_date,
        first_day as first_date,
        last_day as last_date

    from source

)

select * from renamed
