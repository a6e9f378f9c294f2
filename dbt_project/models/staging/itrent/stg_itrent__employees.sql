with

source as (

    select * from {{ source('raw_itrent', 'employees') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('position_ref') }} as position_reference,
        employee_number as employee_token,
        ni_number as ni_number_token,
        date_of_birth as birth_date_token,
        {{ clean_code('org_unit_code') }} as unit_code,
        {{ clean_code('manager_position_ref') }} as manager_position_reference,
        {{ clean_code('ethnicity') }} as ethnicity_code,
        {{ listed(clean_code('grade'), code_list('grade')) }} as grade_code,

        -- text
        {{ clean_text('post_title') }} as post_title,
        {{ clean_text('org_unit') }} as unit_name,
        {{ clean_text('directorate') }} as directorate_name,
        {{ listed(clean_text('contract_type'), code_list('contract_type')) }} as contract_type_name,
        {{ listed(clean_text('leaving_reason'), code_list('leaving_reason')) }} as leaving_reason_name,
        ni_number_fault,
        date_of_birth_fault as birth_date_fault,

        -- numbers
        fte as fte_raw,
        case when fte > 0 and fte <= 1 then fte end as fte,
        spine_point::integer as spine_point,

        -- booleans
        {{ clean_code('disability') }} = 'Y' as is_disabled,

        -- dates
        extract_date as month_end_date,
        start_date,
        leaving_date,
        date_of_birth_month::date as birth_month_date

    from source

)

select * from renamed
