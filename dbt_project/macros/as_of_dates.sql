{#- The as-of dates that a prediction needs and the model being built does not have yet. -#}
{% macro missing_as_of_dates(prediction) -%}
    select distinct as_of_date
    from {{ ref('int_as_of_dates') }}
    where
        prediction = '{{ prediction }}'
        and {{ in_portion(prediction) }}
        {%- if is_incremental() %}
        and as_of_date not in (select distinct as_of_date from {{ this }})
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
    {%- if is_incremental() %}
    left join (select distinct as_of_date, horizon_days from {{ this }}) as present
        on
            windows.as_of_date = present.as_of_date
            and windows.horizon_days = present.horizon_days
    {%- endif %}
    where
        windows.prediction = '{{ prediction }}'
        {%- if is_incremental() %}
        and present.as_of_date is null
        {%- endif %}
{%- endmacro %}

{#- True for rows of a relation that the incremental model being built does not have yet, by their key. -#}
{% macro is_missing(relation, key) -%}
    {%- if is_incremental() -%}
        {{ is_absent(relation ~ '.' ~ key, this, key) }}
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
