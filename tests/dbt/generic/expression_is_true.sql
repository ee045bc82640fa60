{#-
    Fails for every row on which the expression is not true. With `of_runs`, a relation with a
    run_id, only the rows of those runs are looked at.
-#}
{% test expression_is_true(model, expression, of_runs=none) %}
    select *
    from {{ model }}
    where
        not coalesce({{ expression }}, false)
        {%- if of_runs is not none %}
        and run_id in (select run_id from {{ of_runs }})
        {%- endif %}
{% endtest %}
