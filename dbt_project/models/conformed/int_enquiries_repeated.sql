with

enquiries as (

    select * from {{ ref('stg_confirm__enquiries') }}

),

enquiry_subjects as (

    select * from {{ ref('stg_confirm__enquiry_subjects') }}

),

-- in squares of 50 metres, whatever is within 50 metres lies in the same square or in one of the eight around it
placed as (

    select
        enquiries.enquiry_number,
        enquiry_subjects.subject_name,
        enquiries.easting,
        enquiries.northing,
        enquiries.logged_at,
        floor(enquiries.easting / 50)::integer as square_x,
        floor(enquiries.northing / 50)::integer as square_y
    from enquiries
    inner join enquiry_subjects
        on
            enquiries.service_code = enquiry_subjects.service_code
            and enquiries.subject_code = enquiry_subjects.subject_code
    where enquiries.easting is not null

),

squares as (

    select
        placed.*,
        placed.square_x + aside.step as near_x,
        placed.square_y + upward.step as near_y
    from placed
    cross join (values (-1), (0), (1)) as aside (step)
    cross join (values (-1), (0), (1)) as upward (step)

),

final as (

    select
        squares.enquiry_number,
        count(*)::integer as earlier_enquiry_count,
        max(earlier.logged_at) as latest_earlier_logged_at
    from squares
    inner join placed as earlier
        on
            squares.near_x = earlier.square_x
            and squares.near_y = earlier.square_y
            and squares.subject_name = earlier.subject_name
            and earlier.logged_at >= squares.logged_at - interval '28 days'
            and (earlier.logged_at, earlier.enquiry_number) < (squares.logged_at, squares.enquiry_number)
            and (earlier.easting - squares.easting) ^ 2 + (earlier.northing - squares.northing) ^ 2 <= 50 ^ 2
    group by squares.enquiry_number

)

select * from final
