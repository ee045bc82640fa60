{#-
    What was known of each key before each of its days: sums of `measures` over the changes of earlier
    days, one row per key and day. `changes` has a column changed_on; a day on which somebody asks
    without anything having changed stands in it as a row of zeros. Asked about by joining on the keys
    and the day. One sort per key, no join: cost grows in step with the changes.

    With `dated_by`, a measure, also the first and the last earlier day on which it rose.
    `asked`: a relation that has the keys; where only a few of them are new, the others are left out.
-#}
{% macro known_before_each_day(changes, keys, measures, dated_by=none, asked=none) -%}
    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        {%- for measure in measures %}
        coalesce(sum(sum({{ measure }})) over earlier_days, 0) as {{ measure }},
        {%- endfor %}
        {%- if dated_by %}
        min(min(changed_on) filter (where {{ dated_by }} > 0)) over earlier_days as first_on,
        max(max(changed_on) filter (where {{ dated_by }} > 0)) over earlier_days as last_on,
        {%- endif %}
        changed_on
    from {{ changes }}
    where
        true
        {%- for key in keys %}
        and {{ key }} is not null
        {%- endfor %}
        {%- if asked and keys and is_incremental() %}
        and {{ keys[0] }} in (select asked.{{ keys[0] }} from {{ asked }} as asked)
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
