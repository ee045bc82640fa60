{#-
    The one boundary between past and future. Every comparison with an as-of date goes through
    these macros; a test suite breaks each of them on purpose and must notice.

    `fact` is the alias of a relation with the columns <happened>_<grain>, known_<grain> and
    superseded_<grain>, where the grain is `at` (times) or `on` (days). An as-of date is a midnight,
    so both grains give the same answer.
-#}

{#- True when the fact had happened, was known and not yet replaced at the as-of midnight. -#}
{% macro known_before(fact, as_of, happened='ordered', grain='on') -%}
    (
        {{ fact }}.{{ happened }}_{{ grain }} < {{ as_of }}
        and {{ version_known_before(fact, as_of, grain) }}
    )
{%- endmacro %}

{#- The same for what has no time of its own: attributes of customers and products. -#}
{% macro version_known_before(fact, as_of, grain='on') -%}
    (
        {{ fact }}.known_{{ grain }} < {{ as_of }}
        and ({{ fact }}.superseded_{{ grain }} is null or {{ fact }}.superseded_{{ grain }} >= {{ as_of }})
    )
{%- endmacro %}

{#- The same for running changes, which carry the day of knowledge alone. -#}
{% macro change_known_before(fact, as_of) -%}
    ({{ fact }}.changed_on < {{ as_of }})
{%- endmacro %}

{#- True when a date lies in a span: from its from_date on, and before its until_date, where it has one. -#}
{% macro in_span(day, span) -%}
    (
        {{ day }} >= {{ span }}.from_date
        and ({{ span }}.until_date is null or {{ day }} < {{ span }}.until_date)
    )
{%- endmacro %}

{#- True when the fact falls in [as_of, as_of + days), whenever it was known. -#}
{% macro happened_in_window(fact, as_of, days, happened='ordered', grain='on') -%}
    (
        {{ fact }}.{{ happened }}_{{ grain }} >= {{ as_of }}
        and {{ fact }}.{{ happened }}_{{ grain }} < {{ add_days(as_of, days) }}
    )
{%- endmacro %}

{#- True when the fact falls in [as_of, as_of + days) and was known before its label was due. -#}
{% macro in_label_window(fact, as_of, days, happened='ordered', grain='on') -%}
    (
        {{ happened_in_window(fact, as_of, days, happened, grain) }}
        and {{ version_known_before(fact, label_known_at(as_of, days), grain) }}
    )
{%- endmacro %}

{#- True when the fact falls in the `length` days that began `start` days before the as-of date. -#}
{% macro in_past_window(day, as_of, start, length=none) -%}
    {%- set length = start if length is none else length -%}
    (
        {{ day }} >= {{ add_days(as_of, -start) }}
        {%- if length < start %}
        and {{ day }} < {{ add_days(as_of, length - start) }}
        {%- endif %}
    )
{%- endmacro %}

{#- The instant from which a label may be used, the same for yes and no. -#}
{% macro label_known_at(as_of, days) -%}
    {{ add_days(as_of, '(' ~ days ~ ' + ' ~ var('label_grace_days') ~ ')') }}
{%- endmacro %}

{#-
    The frame of a running sum of changes that holds what was known before the day of the row: changes
    of that very day are left out. One row per key and day.
-#}
{% macro earlier_days(keys) -%}
    (
        {%- if keys %}
        partition by {{ keys | join(', ') }}
        {%- endif %}
        order by changed_on
        rows between unbounded preceding and 1 preceding
    )
{%- endmacro %}

{#-
    The midnight after which nothing is known of outcomes, or none: set where lines of the future are
    scored with what was known before them.
-#}
{% macro outcomes_until() -%}
    {%- set day = env_var('SMARTRETAIL_OUTCOMES_UNTIL', '') -%}
    {{ return("cast('" ~ day ~ "' as date)" if day else none) }}
{%- endmacro %}

{#- When a row was known: docs/contracts.md gives the four cases. -#}
{% macro known_at(recorded_at, happened_at, load) -%}
    coalesce(
        {{ recorded_at }},
        case
            when {{ load }}.newest_before is null or {{ happened_at }} > {{ load }}.newest_before
                then {{ happened_at }}
            else {{ load }}.loaded_at
        end
    )
{%- endmacro %}
