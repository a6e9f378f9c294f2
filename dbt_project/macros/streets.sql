{# USRN as a text of eight digits, with the leading zeros that numeric columns lose; null where the value is not valid. #}
{% macro usrn(column) -%}
    case when {{ clean_text(column) }} ~ '^0*[1-9]\d*$' and length({{ clean_text(column) }}) <= 8
        then lpad({{ clean_text(column) }}, 8, '0')
    end
{%- endmacro %}

{# One coordinate of a grid reference; null where either coordinate is zero, which means that there is none. #}
{% macro known_coordinate(column, other) -%}
    case when {{ column }} <> 0 and {{ other }} <> 0 then {{ column }} end
{%- endmacro %}

{# Street name in normal case with its last word in full: "Smith Str" and "SMITH ST." become "Smith Street". Other words are
   unchanged, because "St" in "St Johns Road" is not a street. #}
{% macro standard_street_name(column) -%}
    {%- set last_words = {
        'St|Str|Street': 'Street', 'Rd|Road': 'Road', 'Av|Ave|Avenue': 'Avenue', 'Ln|Lane': 'Lane', 'Cl|Close': 'Close',
        'Dr|Drive': 'Drive', 'Cres|Crescent': 'Crescent', 'Gdns|Gardens': 'Gardens'
    } -%}
    {%- set spaced = "regexp_replace(" ~ clean_text(column) ~ ", '\\s+', ' ', 'g')" -%}
    {%- set name = namespace(
        sql="case when " ~ column ~ " = upper(" ~ column ~ ") then regexp_replace(initcap(" ~ spaced ~ "), '(?<=[''’])S\\M', 's') "
            ~ "else " ~ spaced ~ " end"
    ) -%}
    {%- for short, whole in last_words.items() -%}
        {%- set name.sql = "regexp_replace(" ~ name.sql ~ ", '(?<= )(" ~ short ~ ")\\.?$', '" ~ whole ~ "', 'i')" -%}
    {%- endfor -%}
    {{ name.sql }}
{%- endmacro %}

{# Distance in metres of a place (WGS 84) east of longitude 2 degrees west, and north of the equator. A local approximation:
   the error of short distances is at most 0.75% between 50 and 55 degrees north and between 3 and 1 degrees west. #}
{% macro metres_east(latitude, longitude) -%}
    ({{ longitude }} + 2) * 111552 * cos(radians({{ latitude }}))
{%- endmacro %}
{% macro metres_north(latitude) -%}
    {{ latitude }} * 111266
{%- endmacro %}

{# CTEs that find repeats in a CTE `placed`: records within 50 metres and 28 days of an earlier record. `placed` has the
   `key`, x and y in metres, the time of the report (`moment`) and the columns that are equal in repeats (`alike`). The last
   CTE, `repeats`, has one row per record that repeats another: its key, `earlier_count` and `latest_earlier`. #}
{% macro earlier_nearby(key, moment, alike) -%}
    -- in a grid of 50 metres, a place within 50 metres is in the same square or in one of the eight around it
    squared as (

        select
            *,
            floor(x / 50)::integer as square_x,
            floor(y / 50)::integer as square_y
        from placed

    ),

    -- materialized: else Postgres, which expects few rows, joins all records that are alike before it compares squares
    squares as materialized (

        select
            squared.*,
            squared.square_x + aside.step as near_x,
            squared.square_y + upward.step as near_y
        from squared
        cross join (values (-1), (0), (1)) as aside (step)
        cross join (values (-1), (0), (1)) as upward (step)

    ),

    repeats as (

        select
            squares.{{ key }},
            count(*)::integer as earlier_count,
            max(earlier.{{ moment }}) as latest_earlier
        from squares
        inner join squared as earlier
            on
                squares.near_x = earlier.square_x
                and squares.near_y = earlier.square_y
                {% for column in alike -%}
                    and squares.{{ column }} = earlier.{{ column }}
                {% endfor -%}
                and earlier.{{ moment }} >= squares.{{ moment }} - interval '28 days'
                and (earlier.{{ moment }}, earlier.{{ key }}) < (squares.{{ moment }}, squares.{{ key }})
                and (earlier.x - squares.x) ^ 2 + (earlier.y - squares.y) ^ 2 <= 50 ^ 2
        group by squares.{{ key }}

    )
{%- endmacro %}
