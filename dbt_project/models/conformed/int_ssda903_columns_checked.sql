{% set record_key = "concat_ws(':', source_file, source_row_number)" %}
{% set lists = {
    'header': {'ethnic': ('ETHNIC', 'ethnicity_code')},
    'episodes': {
        'rne': ('RNE', 'begin_reason_code'),
        'ls': ('LS', 'legal_status_code'),
        'cin': ('CIN', 'need_code'),
        'place': ('PLACE', 'placement_code'),
        'place_provider': ('PLACE_PROVIDER', 'placement_provider_code'),
        'rec': ('REC', 'end_reason_code'),
        'reason_place_change': ('REASON_PLACE_CHANGE', 'placement_change_reason_code'),
    },
    'reviews': {'review_code': ('REVIEW_CODE', 'review_code')},
    'missing': {'missing': ('MISSING', 'missing_code')},
    'oc2': {'sdq_reason': ('SDQ_REASON', 'sdq_reason_code')},
} %}
{% set models = {
    'header': 'headers', 'episodes': 'episodes', 'reviews': 'reviews', 'missing': 'missing_periods', 'oc2': 'outcomes'
} %}

with

codes as (

    select
        code_list,
        code
    from {{ ref('ssda903_codes') }}

    union all

    select
        'ETHNIC' as code_list,
        ethnicity_code as code
    from {{ ref('child_ethnicities') }}

),

{% for table, model in models.items() %}
    {{ model }}_as_sent as (

        select * from {{ ref('stg_ssda903__' ~ model) }}

    ),

    {{ table }} as (

        select
            {{ model }}_as_sent.*,
            {% if table != 'header' %}
                known_children.child_token is null as is_child_unknown,
            {% endif %}
            {% if table == 'episodes' %}
                lead(began_date) over (
                    partition by episodes_as_sent.child_token
                    order by began_date, source_row_number
                ) as next_began_date,
            {% endif %}
            {% for column, (code_list, code) in lists[table].items() %}
                {{ code }} is not null and not exists (
                    select * from codes
                    where codes.code_list = '{{ code_list }}' and codes.code = {{ model }}_as_sent.{{ code }}
                ) as is_{{ column }}_off_list{{ ',' if not loop.last }}
            {% endfor %}
        from {{ model }}_as_sent
        {% if table != 'header' %}
            left join (select distinct child_token from headers_as_sent) as known_children
                on {{ model }}_as_sent.child_token = known_children.child_token
        {% endif %}

    ),
{% endfor %}

unioned as (

    {% for table, columns in lists.items() %}
        {% for column, (code_list, code) in columns.items() %}
            {{ column_checks(table, 'raw_ssda903.' ~ table, record_key, {
                column: (code ~ ' is not null', "case when is_" ~ column ~ "_off_list then 'SSD03' end"),
            }) }}

            union all
        {% endfor %}
        {% if table != 'header' %}
            {{ column_checks(table, 'raw_ssda903.' ~ table, record_key, {
                'child': ('true', "case when is_child_unknown then 'SSD04' end"),
            }) }}

            union all
        {% endif %}
        {% if table != 'episodes' %}
            {{ column_checks(table, 'raw_ssda903.' ~ table, record_key, {
                'dob': ('coalesce(birth_date_token, birth_date_fault) is not null', 'birth_date_fault'),
            }) }}

            union all
        {% endif %}
    {% endfor %}

    {{ column_checks('header', 'raw_ssda903.header', record_key, {
        'upn': ('coalesce(upn_token, upn_fault) is not null', 'upn_fault'),
    }) }}

    union all

    {{ column_checks('episodes', 'raw_ssda903.episodes', record_key, {
        'home_post': ('coalesce(home_postcode_token, home_postcode_fault) is not null', 'home_postcode_fault'),
        'pl_post': (
            'coalesce(placement_postcode_token, placement_postcode_fault) is not null', 'placement_postcode_fault'
        ),
        'dec': (
            'ended_date is not null',
            "case when ended_date < began_date then 'SSD01' when ended_date > next_began_date then 'SSD02' end"
        ),
    }) }}

    union all

    {{ column_checks('missing', 'raw_ssda903.missing', record_key, {
        'mis_end': ('ended_date is not null', "case when ended_date < began_date then 'SSD06' end"),
    }) }}

    union all

    {{ column_checks('oc2', 'raw_ssda903.oc2', record_key, {
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
