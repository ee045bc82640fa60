{#-
    Fails for every combination of columns that stands more than once. With `of_runs`, a relation
    with a run_id, only the rows of those runs are looked at.
-#}
{% test unique_grain(model, columns, of_runs=none) %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    {%- if of_runs is not none %}
    where run_id in (select run_id from {{ of_runs }})
    {%- endif %}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
