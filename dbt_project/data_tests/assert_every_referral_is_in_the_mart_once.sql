with

referrals as (

    select
        {{ surrogate_key(['referral_id']) }} as referral_key,
        referral_id
    from {{ ref('stg_liquidlogic__referrals') }}

)

select
    coalesce(referrals.referral_key, children__fct_referral_journeys.referral_key) as referral_key,
    count(children__fct_referral_journeys.referral_key) as row_count
from referrals
full join {{ ref('children__fct_referral_journeys') }} as children__fct_referral_journeys
    on referrals.referral_key = children__fct_referral_journeys.referral_key
group by 1
having count(children__fct_referral_journeys.referral_key) <> 1 or count(referrals.referral_key) <> 1
