with

source as (

    select * from {{ source('raw_dynamics', 'incidents') }}

),

renamed as (

    select
        -- ids
        {{ clean_text('ticketnumber') }} as case_reference,
        customerid as contact_token,
        casetypecode::text as case_type_code,
        caseorigincode::text as origin_code,
        statuscode::text as status_code,

        -- text
        {{ clean_text('title') }} as title,
        {{ listed(clean_text('subject'), 'select source_value from ' ~ ref('service_source_values')) }} as service_name,
        {{ clean_text('description') }} as description,
        case statecode when 0 then 'Active' when 1 then 'Resolved' when 2 then 'Cancelled' end as state_name,

        -- numbers
        coalesce(reopenedcount, 0)::integer as reopened_count,

        -- booleans
        coalesce(title ~* '^\W*(test|testing|dummy)\M', false) as is_test,

        -- dates
        {{ known_time('createdon') }} as created_at,
        {{ known_time('resolvedon') }} as closed_at,
        {{ known_time('sla_due') }} as source_due_at,
        modifiedon as updated_at

    from source

)

select * from renamed
