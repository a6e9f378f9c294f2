with

bridge_addresses_records as (

    select * from {{ ref('bridge_addresses_records') }}

),

int_addresses_unioned as (

    select * from {{ ref('int_addresses_unioned') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

final as (

    select
        bridge_addresses_records.address_key,
        mode() within group (order by dim_postcodes.district_code) as district_code,
        count(*) as record_count,
        count(distinct int_addresses_unioned.address_token) as spelling_count,
        count(distinct split_part(bridge_addresses_records.raw_table, '.', 1)) as system_count
    from bridge_addresses_records
    inner join int_addresses_unioned
        on
            bridge_addresses_records.raw_table = int_addresses_unioned.raw_table
            and bridge_addresses_records.record_key = int_addresses_unioned.record_key
    left join dim_postcodes
        on int_addresses_unioned.postcode_token = dim_postcodes.postcode_token
    group by bridge_addresses_records.address_key

)

select * from final
