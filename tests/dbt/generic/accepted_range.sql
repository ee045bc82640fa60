{#-
    Fails for every value outside [minimum, maximum]; empty values pass. With `of_runs`, a relation
    with a run_id, only the rows of those runs are looked at.
-#}
{% test accepted_range(model, column_name, minimum=none, maximum=none, of_runs=none) %}
    select {{ column_name }}
    from {{ model }}
    where
        (
            false
            {%- if minimum is not none %}
            or {{ column_name }} < {{ minimum }}
            {%- endif %}
            {%- if maximum is not none %}
            or {{ column_name }} > {{ maximum }}
            {%- endif %}
        )
        {%- if of_runs is not none %}
        and run_id in (select run_id from {{ of_runs }})
        {%- endif %}
{% endtest %}
