select
    foi_requests.request_reference,
    count(customer__fct_foi_requests.foi_request_key) as row_count
from {{ ref('stg_dynamics__foi_requests') }} as foi_requests
full join {{ ref('customer__fct_foi_requests') }} as customer__fct_foi_requests
    on foi_requests.request_reference = customer__fct_foi_requests.request_reference
group by foi_requests.request_reference
having count(customer__fct_foi_requests.foi_request_key) <> 1 or count(foi_requests.request_reference) <> 1
