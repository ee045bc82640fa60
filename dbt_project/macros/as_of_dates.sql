{#- The as-of dates that a prediction needs and the model being built does not have yet. -#}
{% macro missing_as_of_dates(prediction) -%}
    select distinct as_of_date
    from {{ ref('int_as_of_dates') }} as windows
    where
        prediction = '{{ prediction }}'
        and {{ in_portion(prediction) }}
        and {{ is_missing('windows', ['as_of_date']) }}
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
        and {{ is_missing('windows', ['as_of_date', 'horizon_days']) }}
{%- endmacro %}

{#-
    True for rows of a relation that the incremental model being built has none of yet, by columns that both
    have, without nulls; for all rows where it is made.
-#}
{% macro is_missing(relation, columns) -%}
    {%- if is_incremental() -%}
        {%- set same = [] -%}
        {%- for column in columns -%}
            {%- do same.append('present.' ~ column ~ ' = ' ~ relation ~ '.' ~ column) -%}
        {%- endfor -%}
        {{ finds_nothing('select 1 from ' ~ this ~ ' as present where ' ~ same | join(' and ')) }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#-
    The dates at which a relation has not just the rows of the incremental model being built, by a key that
    both have: at all others nothing is missing, and rows need not be looked up one by one.
-#}
{% macro dates_that_differ(relation, key) -%}
    select
        as_of_date,
        count(*) as row_count,
        {{ fingerprint(key) }} as row_keys
    from {{ relation }}
    group by 1

    except

    select
        as_of_date,
        count(*) as row_count,
        {{ fingerprint(key) }} as row_keys
    from {{ this }}
    group by 1
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
