select
    service_requests.service_request_reference,
    count(mart.service_request_key) as row_count
from {{ ref('stg_regulatory__service_requests') }} as service_requests
full join {{ ref('customer__fct_service_requests') }} as mart
    on service_requests.service_request_reference = mart.service_request_reference
group by service_requests.service_request_reference
having count(mart.service_request_key) <> 1 or count(service_requests.service_request_reference) <> 1
