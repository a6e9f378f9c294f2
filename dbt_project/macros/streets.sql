{# A USRN is text of eight digits; systems that take it for a number lose its leading noughts. #}
{% macro usrn(column) -%}
    case when {{ clean_text(column) }} ~ '^0*[1-9]\d*$' and length({{ clean_text(column) }}) <= 8
        then lpad({{ clean_text(column) }}, 8, '0')
    end
{%- endmacro %}

{# One half of a grid reference; nought in either half means that there is none. #}
{% macro known_coordinate(column, other) -%}
    case when {{ column }} <> 0 and {{ other }} <> 0 then {{ column }} end
{%- endmacro %}

{# A street's name in its usual case, with its last word written out: Smith Str and SMITH ST. are Smith Street. Words
   before the last stay as they are: the first of St Johns Road is no street. #}
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

{# Metres east of 2 degrees west, and north of the equator, of a place given by latitude and longitude (WGS 84). A local
   approximation: distances of neighbours are right to 0.75 per cent from 50 to 55 degrees north and 3 to 1 degrees west. #}
{% macro metres_east(latitude, longitude) -%}
    ({{ longitude }} + 2) * 111552 * cos(radians({{ latitude }}))
{%- endmacro %}
{% macro metres_north(latitude) -%}
    {{ latitude }} * 111266
{%- endmacro %}

{# What had been reported within 50 metres in the 28 days before, of the records of a CTE `placed`: its `key`, x and y in
   metres, when each was reported (`moment`), and the columns in which repeats are `alike`. CTEs of which the last,
   `repeats`, has one row per record that repeats another: its key, `earlier_count`, `latest_earlier`. #}
{% macro earlier_nearby(key, moment, alike) -%}
    -- in squares of 50 metres, whatever is within 50 metres lies in the same square or in one of the eight around it
    squared as (

        select
            *,
            floor(x / 50)::integer as square_x,
            floor(y / 50)::integer as square_y
        from placed

    ),

    squares as (

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
