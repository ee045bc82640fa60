{#-
    Versions of an entity's attributes, found on the rows that carry them: one row each time a value
    changed, at day grain, with the days from which and until which it held. `known_at` of the rows is
    never earlier than what they speak of happened: staging sees to it.
-#}
{% macro attribute_versions(relation, key, columns) -%}
    with daily as (
        -- several values on one day: the last by order of the alphabet, so that a rebuild agrees
        select
            {{ key }},
            cast(known_at as date) as known_on
            {%- for column in columns %},
            max({{ column }}) as {{ column }}
            {%- endfor %}
        from {{ relation }}
        where {{ key }} is not null
        group by 1, 2
    ),

    compared as (
        select
            *,
            lag(known_on) over entity as previous_on
            {%- for column in columns %},
            lag({{ column }}) over entity as previous_{{ column }}
            {%- endfor %}
        from daily
        window entity as (partition by {{ key }} order by known_on)
    ),

    changed as (
        select *
        from compared
        where
            previous_on is null
            {%- for column in columns %}
            or {{ column }} is distinct from previous_{{ column }}
            {%- endfor %}
    ),

    final as (
        select
            {{ key }},
            {%- for column in columns %}
            {{ column }},
            {%- endfor %}
            known_on,
            lead(known_on) over (partition by {{ key }} order by known_on) as superseded_on
        from changed
    )

    select * from final
{%- endmacro %}
