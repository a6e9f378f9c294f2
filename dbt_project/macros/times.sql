{# A time; null where the system writes 1 January 1900 for a missing time. #}
{% macro known_time(column) -%}
    case when {{ column }} >= '1901-01-01' then {{ column }} end
{%- endmacro %}

{# Date on which the latest file of a system that sends files was written. Unit tests override it. #}
{% macro extract_date(system) -%}
    (select governance.extract_date('raw_{{ system }}'))
{%- endmacro %}

{# Code of the rule that a date of the past breaks: it is after the date up to which the data go, or before 1900. #}
{% macro date_fault(column, as_at) -%}
    case when {{ column }} > {{ as_at }} then 'DAT01' when {{ column }} < '1900-01-01' then 'DAT02' end
{%- endmacro %}

{# Check of a date of the past for column_checks: the rows that have one, and the code of the rule that it breaks. #}
{% macro date_check(column, as_at='as_at_date') -%}
    {{ return((column ~ ' is not null', date_fault(column, as_at))) }}
{%- endmacro %}

{# A date of the past; null where it breaks a rule of date_fault, so that it enters no figure. #}
{% macro credible_date(column, as_at) -%}
    case when {{ column }} between '1900-01-01' and {{ as_at }} then {{ column }} end
{%- endmacro %}

{# Time of a snapshot in UTC. dbt's own macro uses the time zone of the session, which is not recorded. #}
{% macro postgres__snapshot_get_time() -%}
    (now() at time zone 'UTC')
{%- endmacro %}

{# Local time in the United Kingdom, without a zone: what a published column has. Clients show it as it is. #}
{% macro local_time(column) -%}
    ({{ column }} at time zone 'Europe/London')
{%- endmacro %}

{# Local date of a time in the United Kingdom. #}
{% macro local_date(column) -%}
    ({{ column }} at time zone 'Europe/London')::date
{%- endmacro %}

{# Start of a day in the United Kingdom. A day on which the clocks change has 23 or 25 hours. #}
{% macro local_midnight(day) -%}
    (({{ day }})::timestamp at time zone 'Europe/London')
{%- endmacro %}

{# Hours in a range of times. #}
{% macro hours_in(times) -%}
    (extract(epoch from upper({{ times }}) - lower({{ times }})) / 3600)
{%- endmacro %}

{# Time up to which the build counts what still lasts. Unit tests override it. #}
{% macro build_time() -%} now() {%- endmacro %}

{# True if a period with a first day and a last day (null: no end) includes the day. #}
{% macro is_in_force(period, day) -%}
    {{ day }} between {{ period }}.valid_from_date and coalesce({{ period }}.valid_to_date, 'infinity')
{%- endmacro %}

{# True if one time is before another. If either is midnight, only its date is known, and the dates are compared. #}
{% macro is_before(earlier, later) -%}
    case
        when '00:00' in (({{ earlier }} at time zone 'Europe/London')::time, ({{ later }} at time zone 'Europe/London')::time)
            then {{ local_date(earlier) }} < {{ local_date(later) }}
        else {{ earlier }} < {{ later }}
    end
{%- endmacro %}

{# Working hours (9:00 to 17:00 on working days) from the start of the calendar to a time. The difference between two results
   is the working time between the two times. `day` is the calendar's row for the local date of the time. #}
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

{# A select of the versions of an entity in monthly workbooks: its key, its attributes and the first and last day of each
   version. A month without the entity changes nothing; an entity that is missing from the latest month has ended. #}
{% macro versions_by_month(months, key, attributes) -%}
    with

    monthly as (

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
        from monthly

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
            (select max(monthly.month_end_date) from monthly) as latest_date
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
