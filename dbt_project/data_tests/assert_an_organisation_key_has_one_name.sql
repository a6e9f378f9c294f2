select organisation_key
from {{ ref('bridge_organisations_suppliers') }}
group by organisation_key
having count(distinct organisation_name_normalised) > 1
