-- A full address is the token of premises, street and postcode. An address without a street is matched by premises and
-- postcode, an address with a missing or wrong postcode by premises, street and town, to the full address that most
-- records have. Records with one UPRN have one address: its most frequent, then the most frequent of all.
with

int_addresses_unioned as (

    select * from {{ ref('int_addresses_unioned') }}

),

spellings as (

    select
        address_token,
        address_premises_token,
        address_street_token,
        count(*) as record_count
    from int_addresses_unioned
    group by address_token, address_premises_token, address_street_token

),

by_street as (

    select distinct on (address_street_token)
        address_street_token,
        address_token as full_address_token
    from spellings
    where address_street_token is not null
    order by address_street_token asc, (address_premises_token is not null) desc, record_count desc, address_token asc

),

by_premises as (

    select distinct on (spellings.address_premises_token)
        spellings.address_premises_token,
        by_street.full_address_token
    from spellings
    inner join by_street
        on spellings.address_street_token = by_street.address_street_token
    where spellings.address_premises_token is not null
    order by spellings.address_premises_token asc, spellings.record_count desc, by_street.full_address_token asc

),

by_text as (

    select
        int_addresses_unioned.raw_table,
        int_addresses_unioned.record_key,
        int_addresses_unioned.uprn_token,
        coalesce(
            by_street.full_address_token, by_premises.full_address_token, int_addresses_unioned.address_token
        ) as full_address_token,
        case
            when by_street.full_address_token <> int_addresses_unioned.address_token then 'street and town'
            when by_street.full_address_token is null and by_premises.full_address_token is not null then 'postcode'
            else 'whole'
        end as matched_by
    from int_addresses_unioned
    left join by_street
        on int_addresses_unioned.address_street_token = by_street.address_street_token
    left join by_premises
        on int_addresses_unioned.address_premises_token = by_premises.address_premises_token

),

record_counts as (

    select
        full_address_token,
        count(*) as record_count
    from by_text
    group by full_address_token

),

by_uprn as (

    select distinct on (by_text.uprn_token)
        by_text.uprn_token,
        by_text.full_address_token
    from by_text
    inner join record_counts
        on by_text.full_address_token = record_counts.full_address_token
    where by_text.uprn_token is not null
    group by by_text.uprn_token, by_text.full_address_token, record_counts.record_count
    order by by_text.uprn_token asc, count(*) desc, record_counts.record_count desc, by_text.full_address_token asc

),

final as (

    select
        {{ surrogate_key(['by_text.raw_table', 'by_text.record_key']) }} as address_record_key,
        by_text.raw_table,
        by_text.record_key,
        {{ surrogate_key(['coalesce(by_uprn.full_address_token, by_text.full_address_token)']) }} as address_key,
        case when by_uprn.full_address_token <> by_text.full_address_token then 'UPRN' else by_text.matched_by end
            as matched_by
    from by_text
    left join by_uprn
        on by_text.uprn_token = by_uprn.uprn_token

)

select * from final
