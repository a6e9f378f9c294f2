select supplier_id
from {{ ref('bridge_organisations_suppliers') }}
where supplier_id is not null
group by supplier_id
having count(distinct organisation_key) > 1
