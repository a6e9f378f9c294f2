select
    enquiries.enquiry_number,
    count(highways__fct_enquiries.enquiry_key) as row_count
from {{ ref('stg_confirm__enquiries') }} as enquiries
full join {{ ref('highways__fct_enquiries') }} as highways__fct_enquiries
    on enquiries.enquiry_number = highways__fct_enquiries.enquiry_number
group by enquiries.enquiry_number
having count(highways__fct_enquiries.enquiry_key) <> 1 or count(enquiries.enquiry_number) <> 1
