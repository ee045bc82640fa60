{#- The as-of dates that a prediction needs and the model being built does not have yet. -#}
{% macro missing_as_of_dates(prediction) -%}
    select distinct as_of_date
    from {{ ref('int_as_of_dates') }} as windows
    where
        prediction = '{{ prediction }}'
        and {{ in_portion(prediction) }}
        {%- if is_incremental() %}
        and {{ is_absent(this, {'as_of_date': 'windows.as_of_date'}) }}
        {%- endif %}
{%- endmacro %}

{#- The as-of dates and horizons whose outcome is known by now and that the label model lacks. -#}
{% macro missing_label_windows(prediction) -%}
    select
        windows.as_of_date,
        windows.horizon_days,
        windows.label_known_at
    from {{ ref('int_as_of_dates') }} as windows
    inner join {{ ref('int_data_window') }} as data_window
        -- a window is closed when the shop's data reach the day before the label is due
        on windows.label_known_at <= {{ add_days('data_window.newest_on', 1) }}
    where
        windows.prediction = '{{ prediction }}'
        {%- if is_incremental() %}
        and {{ is_absent(
            this, {'as_of_date': 'windows.as_of_date', 'horizon_days': 'windows.horizon_days'}
        ) }}
        {%- endif %}
{%- endmacro %}

{#- True for rows of a relation that the incremental model being built does not have yet, by their key. -#}
{% macro is_missing(relation, key) -%}
    {%- if is_incremental() -%}
        {{ is_absent(this, {key: relation ~ '.' ~ key}) }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- True for all lines; where lines of the future are scored, for those alone. -#}
{% macro is_unseen(lines) -%}
    {%- set until = outcomes_until() -%}
    {%- if until is none -%}
        true
    {%- else -%}
        {{ lines }}.ordered_on >= {{ until }}
    {%- endif -%}
{%- endmacro %}
