select
    earlier.street_ward_key,
    later.street_ward_key as overlapping_street_ward_key
from {{ ref('bridge_streets_wards') }} as earlier
inner join {{ ref('bridge_streets_wards') }} as later
    on
        earlier.street_key = later.street_key
        and earlier.street_ward_key <> later.street_ward_key
        and earlier.valid_from_date <= coalesce(later.valid_to_date, 'infinity')
        and later.valid_from_date <= coalesce(earlier.valid_to_date, 'infinity')
