with

contacts as (

    select * from {{ ref('stg_dynamics__contacts') }}

),

dim_postcodes as (

    select * from {{ ref('dim_postcodes') }}

),

final as (

    select
        contacts.contact_token,
        {{ person_key('quality', 'contacts.contact_token') }} as finding_record_key,
        dim_postcodes.district_code,
        dim_postcodes.district_name
    from contacts
    left join dim_postcodes
        on contacts.postcode_token = dim_postcodes.postcode_token

)

select * from final
