with

staged as (

    select count(*) as row_count
    from {{ ref('stg_koha__borrowers') }}

),

staff_cards as (

    select count(*) as row_count
    from {{ ref('int_members_conformed') }}
    where is_staff_card

),

members as (

    select count(*) as row_count
    from {{ ref('libraries__fct_members') }}

)

select
    staged.row_count as borrowers,
    staff_cards.row_count as staff_cards,
    members.row_count as members
from staged
cross join staff_cards
cross join members
where staged.row_count <> staff_cards.row_count + members.row_count
