{#-
    For sources of several tables whose rows have a key. Each table says what the shop's own table
    said, as versions: a row that changed stands again, and one that is gone stands a last time
    with `_is_gone`.
-#}

{#- When each load of one table was made, and how far the shop was known before it. -#}
{% macro loads_of(table_name) -%}
    select
        load_id,
        min(loaded_at) as loaded_at,
        min(newest_before) as newest_before
    from {{ source('shop', 'loads') }}
    where table_name = '{{ table_name }}'
    group by 1
{%- endmacro %}

{#- A number for each row of a load, unique over its files. -#}
{% macro raw_row_number(alias) -%}
    cast({{ alias }}._file_number as bigint) * 1000000000 + {{ alias }}._row_number
{%- endmacro %}

{#-
    Until when a version of a row stood: the next one's known_at. Expects the columns known_at,
    load_id and row_number beside the key.
-#}
{% macro superseded_at(key) -%}
    lead(known_at) over (
        partition by {{ key | join(', ') }} order by known_at, load_id, row_number
    )
{%- endmacro %}

{#- True when two versions, each with known_at and superseded_at, stood at the same time. -#}
{% macro stood_together(left, right) -%}
    (
        {{ left }}.known_at < coalesce({{ right }}.superseded_at, {{ end_of_time() }})
        and {{ right }}.known_at < coalesce({{ left }}.superseded_at, {{ end_of_time() }})
        and {{ stood(left) }}
        and {{ stood(right) }}
    )
{%- endmacro %}

{#- False for a version that was replaced in the moment in which it was known. -#}
{% macro stood(version) -%}
    ({{ version }}.superseded_at is null or {{ version }}.superseded_at > {{ version }}.known_at)
{%- endmacro %}

{% macro end_of_time() -%}
    cast('9999-12-31' as timestamp)
{%- endmacro %}
