{# Disclosure control of reports. A report declares its rules, gives them to `config` as `meta.disclosure` and to `disclosed`,
   which applies them:

   threshold      counts of fewer people are suppressed; zero is shown
   rounding_base  odd number to a multiple of which counts are rounded
   minimum_group  fewest people for a mean or an amount
   known_totals   {figure: columns of a group} where readers see or know the total of the group
   total_rows     condition of the rows that are totals of the other rows of their group
   figures        {heading: figure}; a figure has one of
                  count: a number of things, of `people` where these are not the things themselves
                  amount: a mean or an amount about `people`, rounded to a multiple of `round_to`
                  derived: an expression of published figures, which reveals nothing more than they do
                  and may have a `type` (else bigint) and the condition `only_where` of rows to which it applies.

   `part_of` (the figure of which it is a part) and `total_is_distinct` (rows of a group do not add up to its total) are
   for the attack in tests/test_disclosure.py. #}

{# A query: the rows of a relation with its figures as readers see them, null where a figure is suppressed or does not apply,
   and the column that names the suppressed figures. #}
{% macro disclosed(relation, rules) -%}
    {%- set figures = rules['figures'] -%}
    select
        *,
    {%- for name, figure in figures.items() if figure['derived'] %}
        {{ where_it_applies(figure, figure['derived']) }} as "{{ name }}",
    {%- endfor %}
        nullif(concat_ws(
            ', '
    {%- for name, figure in figures.items() %},
            case when {{ where_suppressed(figures, name) }} then '{{ name }}' end
    {%- endfor %}
        ), '') as "Suppressed figures"
    from (
        select
            *
    {%- for name, figure in figures.items() if not figure['derived'] %},
        {%- set value = rounded(figure['count'], rules['rounding_base']) if figure['count']
            else rounded(figure['amount'], figure['round_to']) %}
            {{ where_it_applies(figure, value, ' and not "' ~ name ~ ' is suppressed"') }} as "{{ name }}"
    {%- endfor %}
        from (
            select
                *
    {%- for name, figure in figures.items() if not figure['derived'] %},
                ({{ is_suppressed(rules, name, figure) }}) as "{{ name }} is suppressed"
    {%- endfor %}
            from {{ relation }}
        ) as suppressions
    ) as published
{%- endmacro %}

{% macro where_it_applies(figure, value, condition='') -%}
    (case when {{ figure['only_where'] or 'true' }}{{ condition }} then {{ value }} end)::{{ figure['type'] or 'bigint' }}
{%- endmacro %}

{% macro rounded(value, base) -%}
    {{ base }} * round(({{ value }})::numeric / {{ base }})
{%- endmacro %}

{% macro where_suppressed(figures, name) -%}
    {%- if not figures[name]['derived'] -%}
        "{{ name }} is suppressed"
    {%- else -%}
        ({{ figures[name]['only_where'] or 'true' }})
        and (false{% for other in figures if '"' ~ other ~ '"' in figures[name]['derived'] %} or "{{ other }} is suppressed"{% endfor %})
    {%- endif -%}
{%- endmacro %}

{% macro is_suppressed(rules, name, figure) -%}
    ({{ figure['only_where'] or 'true' }}) and (
        {%- if figure['amount'] -%}
        ({{ figure['amount'] }}) is not null and coalesce({{ figure['people'] }}, 0) < {{ rules['minimum_group'] }}
        {%- else -%}
        {{ is_small(rules, figure) }}
        {%- if name in (rules['known_totals'] or {}) %} or {{ is_secondary(rules, figure, rules['known_totals'][name]) }}{% endif %}
        {%- endif -%}
    )
{%- endmacro %}

{# Whether a count is of at least one person and of too few. #}
{% macro is_small(rules, figure) -%}
    ({{ figure['count'] }} > 0 and {{ figure['people'] or figure['count'] }} < {{ rules['threshold'] }})
{%- endmacro %}

{# Whether a count that is not small is suppressed to protect counts that are. The smallest shown count of a group is, if the
   group's total leaves one value for every small count: all are 1, or all are one below the threshold. The total of a
   group without a shown part is, if it leaves one value. #}
{% macro is_secondary(rules, figure, columns) -%}
    {%- set is_total = '(' ~ (rules['total_rows'] or 'false') ~ ')' -%}
    {%- set count, is_small = figure['count'], is_small(rules, figure) -%}
    {%- set is_shown = '(' ~ count ~ ' > 0 and not ' ~ is_small ~ ')' -%}
    {%- set group = 'over (partition by ' ~ columns | join(', ') ~ ')' -%}
    {%- set slack, shown = (rules['rounding_base'] - 1) // 2, rounded(count, rules['rounding_base']) -%}
    {%- set most, least = shown ~ ' + ' ~ slack, 'greatest(' ~ rules['threshold'] ~ ', ' ~ shown ~ ' - ' ~ slack ~ ')' -%}
    {%- set part = ' filter (where not ' ~ is_total ~ ' and ' -%}
    {%- set small_counts = 'count(*)' ~ part ~ is_small ~ ') ' ~ group -%}
    {%- set total = 'sum(' ~ count ~ ')' ~ part ~ 'true) ' ~ group -%}
    {%- set sum_of_most = 'coalesce(sum(' ~ most ~ ')' ~ part ~ is_shown ~ ') ' ~ group ~ ', 0)' -%}
    {%- set sum_of_least = 'coalesce(sum(' ~ least ~ ')' ~ part ~ is_shown ~ ') ' ~ group ~ ', 0)' -%}
    {%- set greatest = (rules['threshold'] - 1) ~ ' * ' ~ small_counts -%}
    case
        when {{ is_shown }} is not true or {{ small_counts }} = 0 then false
        when {{ is_total }} then
            {{ sum_of_most }} = 0
            and (greatest({{ count }}, {{ least }}) >= {{ greatest }} or least({{ count }}, {{ most }}) <= {{ small_counts }})
        else
            rank() over (partition by {{ columns | join(', ') }}, {{ is_total }}, {{ is_shown }} order by {{ count }}) = 1
            and ({{ total }} - {{ sum_of_most }} >= {{ greatest }} or {{ total }} - {{ sum_of_least }} <= {{ small_counts }})
    end
{%- endmacro %}
