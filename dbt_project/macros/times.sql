{# A time that is known: systems write 1 January 1900 where there is none. #}
{% macro known_time(column) -%}
    case when {{ column }} >= '1901-01-01' then {{ column }} end
{%- endmacro %}

{# The day on a Worcestershire wall calendar. #}
{% macro local_date(column) -%}
    ({{ column }} at time zone 'Europe/London')::date
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
