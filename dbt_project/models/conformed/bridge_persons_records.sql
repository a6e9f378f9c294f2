with

stg_matching__person_records as (

    select * from {{ ref('stg_matching__person_records') }}

),

final as (

    select
        {{ surrogate_key(['system_name', 'person_token', 'valid_from']) }} as person_record_key,
        person_id,
        system_name,
        person_token,
        matched_by,
        match_probability,
        valid_to is null as is_current,
        valid_from,
        valid_to
    from stg_matching__person_records

)

select * from final
