{#-
    Fails for every row on which one of the columns is empty: not_null for several columns in one
    pass, for tables that hold every order line. With `of_runs`, a relation with a run_id, only the
    rows of those runs are looked at.
-#}
{% test filled(model, columns, of_runs=none) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    where
        ({{ columns | join(' is null or ') }} is null)
        {%- if of_runs is not none %}
        and run_id in (select run_id from {{ of_runs }})
        {%- endif %}
{% endtest %}
