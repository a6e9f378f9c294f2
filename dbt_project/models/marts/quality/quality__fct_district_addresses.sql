with

dim_addresses as (

    select * from {{ ref('dim_addresses') }}

),

final as (

    select
        {{ surrogate_key(["coalesce(district_code, '')"]) }} as district_addresses_key,
        district_code,
        count(*) as address_count,
        sum(record_count)::bigint as record_count,
        count(*) filter (where system_count > 1) as several_systems_count,
        count(*) filter (where spelling_count > 1) as several_spellings_count
    from dim_addresses
    group by district_code

)

select * from final
