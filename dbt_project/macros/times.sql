{# A time that is known: systems write 1 January 1900 where there is none. #}
{% macro known_time(column) -%}
    case when {{ column }} >= '1901-01-01' then {{ column }} end
{%- endmacro %}

{# When a snapshot is taken, in UTC; dbt's own goes by the time zone of the session, and does not say which that was. #}
{% macro postgres__snapshot_get_time() -%}
    (now() at time zone 'UTC')
{%- endmacro %}

{# The day on a Worcestershire wall calendar. #}
{% macro local_date(column) -%}
    ({{ column }} at time zone 'Europe/London')::date
{%- endmacro %}

{# Whether something with a first and a last day (none: it goes on) is in force on a day. #}
{% macro is_in_force(period, day) -%}
    {{ day }} between {{ period }}.valid_from_date and coalesce({{ period }}.valid_to_date, 'infinity')
{%- endmacro %}

{# Whether one time lies before another. Midnight means that only the day is known; then days are compared. #}
{% macro is_before(earlier, later) -%}
    case
        when '00:00' in (({{ earlier }} at time zone 'Europe/London')::time, ({{ later }} at time zone 'Europe/London')::time)
            then {{ local_date(earlier) }} < {{ local_date(later) }}
        else {{ earlier }} < {{ later }}
    end
{%- endmacro %}

{# Working hours since the calendar began, up to a moment: 9 to 17 o'clock of working days. The difference of two such
   numbers is the working time between the moments. `day` is the calendar's row of the moment's local date. #}
{% macro working_hours(moment, day) -%}
    (
        8 * ({{ day }}.working_day_number - {{ day }}.is_working_day::integer)
        + case
            when {{ day }}.is_working_day
                then least(greatest(
                    extract(epoch from ({{ moment }} at time zone 'Europe/London')::time) / 3600 - 9, 0
                ), 8)
            else 0
        end
    )
{%- endmacro %}

{# What stayed the same of something in the months' workbooks, as a select: its key, its attributes, from when to when. A
   month in which it is missing changes nothing; what is not in the latest month has ended. #}
{% macro versions_by_month(months, key, attributes) -%}
    with

    told as (

        select distinct
            {{ key }},
            {{ attributes | join(', ') }},
            month_end_date
        from {{ months }}

    ),

    compared as (

        select
            *,
            (
                {% for attribute in attributes %}
                    {{ 'or' if not loop.first }} {{ attribute }} is distinct from lag({{ attribute }}) over (
                        partition by {{ key }} order by month_end_date
                    )
                {% endfor %}
            ) as is_change
        from told

    ),

    numbered as (

        select
            *,
            count(*) filter (where is_change) over (partition by {{ key }} order by month_end_date) as version_number
        from compared

    ),

    versions as (

        select
            {{ key }},
            {{ attributes | join(', ') }},
            date_trunc('month', min(month_end_date))::date as first_month_date,
            max(month_end_date) as last_seen_date
        from numbered
        group by {{ key }}, {{ attributes | join(', ') }}, version_number

    ),

    bounded as (

        select
            *,
            lead(first_month_date) over (partition by {{ key }} order by first_month_date) as next_month_date,
            (select max(told.month_end_date) from told) as latest_date
        from versions

    )

    select
        {{ key }},
        {{ attributes | join(', ') }},
        first_month_date as valid_from_date,
        coalesce(
            next_month_date - 1,
            case when last_seen_date < latest_date then last_seen_date end
        ) as valid_to_date,
        next_month_date is null and last_seen_date = latest_date as is_current
    from bounded
{%- endmacro %}
