with

source as (

    select * from {{ source('raw_procurement', 'aglbudget') }}

),

renamed as (

    select
        -- ids
        {{ clean_text('organisation_uri') }} as paying_body_uri,
        {{ clean_code('dim_1') }} as cost_centre_code,

        -- text
        {{ clean_text('organisation_label') }} as paying_body_name,
        {{ clean_code('dim_1_name') }} as organisational_unit_name,

        -- numbers
        amount as budget_gbp,

        -- dates
        -- period 01 is April of the year in the first four digits
        (make_date((period / 100)::integer, 4, 1) + (period % 100 - 1) * interval '1 month')::date as month_start_date,
        last_update as updated_at

    from source

)

select * from renamed
