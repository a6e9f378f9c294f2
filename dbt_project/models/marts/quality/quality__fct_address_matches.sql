with

bridge_addresses_records as (

    select * from {{ ref('bridge_addresses_records') }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'matched_by']) }} as address_match_key,
        raw_table,
        matched_by,
        count(*) as record_count
    from bridge_addresses_records
    group by raw_table, matched_by

)

select * from final
