{% set record_key = "concat_ws(':', source_file, source_row_number)" %}

with

ssda903_codes as (

    select * from {{ ref('ssda903_codes') }}

),

pupil_ethnicities as (

    select * from {{ ref('pupil_ethnicities') }}

),

headers as (

    select * from {{ ref('stg_ssda903__headers') }}

),

known_codes as (

    select array_agg(code_list || ' ' || code) as codes
    from ssda903_codes
    -- the codes of the year to the last 31 March before the files were written
    where
        extract(year from {{ extract_date('ssda903') }} - interval '3 months') between
        coalesce(first_collection_year, 0) and coalesce(last_collection_year, 9999)

),

known_ethnicities as (

    select array_agg(ethnicity_code) as ethnic_codes
    from pupil_ethnicities

),

known_children as (

    select distinct child_token
    from headers

),

headers_checked as (

    select
        headers.*,
        known_ethnicities.ethnic_codes
    from headers
    cross join known_ethnicities

),

{% for model in ['episodes', 'reviews', 'missing_periods', 'outcomes'] %}
    {{ model }} as (

        select * from {{ ref('stg_ssda903__' ~ model) }}

    ),

    {{ model }}_checked as (

        select
            {{ model }}.*,
            known_codes.codes,
            case when known_children.child_token is null then 'SSD04' end as child_fault
        from {{ model }}
        cross join known_codes
        left join known_children
            on {{ model }}.child_token = known_children.child_token

    ),
{% endfor %}

episodes_sequenced as (

    select
        *,
        lead(began_date) over (partition by child_token order by began_date, source_row_number) as next_began_date
    from episodes_checked

),

unioned as (

    {{ column_checks('headers_checked', 'raw_ssda903.header', record_key, {
        'dob': 'birth_date',
        'upn': 'upn',
        'ethnic': ('ethnicity_code is not null', "case when ethnicity_code <> all(ethnic_codes) then 'SSD03' end"),
    }) }}

    union all

    {{ column_checks('episodes_sequenced', 'raw_ssda903.episodes', record_key, {
        'child': ('true', 'child_fault'),
        'rne': ('begin_reason_code is not null', "case when 'RNE ' || begin_reason_code <> all(codes) then 'SSD03' end"),
        'ls': ('legal_status_code is not null', "case when 'LS ' || legal_status_code <> all(codes) then 'SSD03' end"),
        'cin': ('need_code is not null', "case when 'CIN ' || need_code <> all(codes) then 'SSD03' end"),
        'place': ('placement_code is not null', "case when 'PLACE ' || placement_code <> all(codes) then 'SSD03' end"),
        'place_provider': (
            'placement_provider_code is not null',
            "case when 'PLACE_PROVIDER ' || placement_provider_code <> all(codes) then 'SSD03' end"
        ),
        'rec': ('end_reason_code is not null', "case when 'REC ' || end_reason_code <> all(codes) then 'SSD03' end"),
        'reason_place_change': (
            'placement_change_reason_code is not null',
            "case when 'REASON_PLACE_CHANGE ' || placement_change_reason_code <> all(codes) then 'SSD03' end"
        ),
        'home_post': 'home_postcode',
        'pl_post': 'placement_postcode',
        'dec': (
            'ended_date is not null',
            "case when ended_date < began_date then 'SSD01' when ended_date > next_began_date then 'SSD02' end"
        ),
    }) }}

    union all

    {{ column_checks('reviews_checked', 'raw_ssda903.reviews', record_key, {
        'child': ('true', 'child_fault'),
        'dob': 'birth_date',
        'review_code': ('review_code is not null', "case when 'REVIEW_CODE ' || review_code <> all(codes) then 'SSD03' end"),
    }) }}

    union all

    {{ column_checks('missing_periods_checked', 'raw_ssda903.missing', record_key, {
        'child': ('true', 'child_fault'),
        'dob': 'birth_date',
        'missing': ('missing_code is not null', "case when 'MISSING ' || missing_code <> all(codes) then 'SSD03' end"),
        'mis_end': ('ended_date is not null', "case when ended_date < began_date then 'SSD06' end"),
    }) }}

    union all

    {{ column_checks('outcomes_checked', 'raw_ssda903.oc2', record_key, {
        'child': ('true', 'child_fault'),
        'dob': 'birth_date',
        'sdq_reason': ('sdq_reason_code is not null', "case when 'SDQ_REASON ' || sdq_reason_code <> all(codes) then 'SSD03' end"),
        'sdq_score': ('sdq_score is not null', "case when sdq_score not between 0 and 40 then 'SSD05' end"),
    }) }}

),

final as (

    select
        {{ surrogate_key(['raw_table', 'column_name', 'record_key', 'rule_code']) }} as column_check_key,
        *
    from unioned

)

select * from final
