with

pupils as (

    select * from {{ ref('stg_capita__pupils') }}

),

present as (

    select upn_token
    from pupils

),

former as (

    select
        former_upn_token as upn_token,
        min(upn_token) as present_upn_token
    from pupils
    where former_upn_token is not null and former_upn_token not in (select present.upn_token from present)
    group by former_upn_token
    having count(*) = 1  -- a former number that two pupils have belongs to neither

),

unioned as (

    select
        upn_token,
        upn_token as present_upn_token
    from pupils

    union all

    select
        upn_token,
        present_upn_token
    from former

),

final as (

    select
        upn_token,
        {{ person_key('education', 'present_upn_token') }} as person_key,
        upn_token <> present_upn_token as is_former
    from unioned

)

select * from final
