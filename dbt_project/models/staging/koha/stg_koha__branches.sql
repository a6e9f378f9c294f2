with

source as (

    select * from {{ source('raw_koha', 'branches') }}

),

renamed as (

    select
        -- ids
        {{ clean_code('branchcode') }} as branch_code,
        {{ clean_text('branchzip') }} as postcode,

        -- text
        {{ clean_text('branchname') }} as branch_name,

        -- numbers
        population::integer as population,

        -- dates
        closed_from as closed_from_date,
        closed_to as closed_to_date

    from source

)

select * from renamed
