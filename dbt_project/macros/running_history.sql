{#-
    What was known of each key before each of its days: sums of `measures` over the changes of earlier
    days, one row per key and day. `changes` has a column changed_on; a day on which somebody asks
    without anything having changed stands in it as a row of zeros. Asked about by joining on the keys
    and the day. One sort per key, no join: cost grows in step with the changes.

    With `dated`, the first and the last earlier day on which it was, as `first_<dated>_on` and
    `last_<dated>_on` of the changes say.
-#}
{% macro known_before_each_day(changes, keys, measures, dated=none) -%}
    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        {%- for measure in measures %}
        coalesce(sum(sum({{ measure }})) over earlier_days, 0) as {{ measure }},
        {%- endfor %}
        {%- if dated %}
        min(min(first_{{ dated }}_on)) over earlier_days as first_{{ dated }}_on,
        max(max(last_{{ dated }}_on)) over earlier_days as last_{{ dated }}_on,
        {%- endif %}
        changed_on
    from {{ changes }}
    {%- if keys %}
    where
        {%- for key in keys %}
        {{ 'and ' if not loop.first }}{{ key }} is not null
        {%- endfor %}
    {%- endif %}
    group by {{ (keys + ['changed_on']) | join(', ') }}
    window earlier_days as {{ earlier_days(keys) }}
{%- endmacro %}

{#-
    A share of few drawn towards a share of many: as if `strength` more cases had been seen, of which
    `prior` said yes. With no case it is the prior.
-#}
{% macro smoothed_rate(yes, cases, prior, strength) -%}
    ({{ quotient('(' ~ yes ~ ' + ' ~ strength ~ ' * ' ~ prior ~ ')', '(' ~ cases ~ ' + ' ~ strength ~ ')') }})
{%- endmacro %}
