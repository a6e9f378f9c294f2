with

source as (

    select * from {{ source('raw_dynamics', 'foi_requests') }}

),

renamed as (

    select
        -- ids
        {{ clean_text('reference') }} as request_reference,

        -- text
        {{ listed(clean_text('topic'), code_list('foi_topic')) }} as topic_name,
        case when upper({{ clean_code('regime') }}) = 'EIR' then 'EIR' else 'FOI' end as regime_code,
        {{ clean_code('outcome') }} as outcome_name,
        {{ clean_code('exemption') }} as exemption_name,

        -- dates
        receivedon as received_date,
        clarificationaskedon as clarification_asked_date,
        clarifiedon as clarified_date,
        feenoticeon as fees_notice_date,
        feepaidon as fee_paid_date,
        extendedon as extended_date,
        reviewaskedon as review_asked_date,
        reviewansweredon as review_answered_date,
        dueon as source_due_date,
        answeredon as answered_date,
        modifiedon as updated_at

    from source

)

select * from renamed
