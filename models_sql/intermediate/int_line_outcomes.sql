{{ config(materialized=view_that_python_reads()) }}

{%- set outcomes = ref('int_' ~ return_label() ~ '_outcomes') %}

with outcomes as (

    select * from {{ outcomes }}

),

final as (

    select
        line_key,
        {%- for column in history_columns(outcomes) %}
        {{ column }},
        {%- endfor %}
        ordered_on,
        as_of_date,
        horizon_days,
        due_on,
        is_dated,
        label,
        label_known_at,
        returned_known_on,
        open_until
    from outcomes

)

select * from final
