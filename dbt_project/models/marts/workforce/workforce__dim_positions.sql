with

int_posts_conformed as (

    select * from {{ ref('int_posts_conformed') }}

),

posts as (

    select *
    from int_posts_conformed
    where not is_still_live_after_leaving

),

versions as (

    {{ versions_by_month('posts', 'position_reference', [
        'manager_position_reference', 'employee_token', 'organisation_unit_key', 'post_title', 'contract_type_name',
        'grade_code', 'fte'
    ]) }}

),

final as (

    select
        {{ surrogate_key(['position_reference', 'valid_from_date']) }} as position_version_key,
        {{ person_key('workforce', 'position_reference') }} as position_key,
        {{ person_key('workforce', 'manager_position_reference') }} as manager_position_key,
        {{ person_key('workforce', 'employee_token') }} as person_key,
        organisation_unit_key,
        post_title,
        contract_type_name,
        grade_code,
        fte,
        is_current,
        valid_from_date,
        valid_to_date
    from versions

)

select * from final
