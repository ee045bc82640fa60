{#- A date some whole days later (or earlier). -#}
{% macro add_days(day, days) -%}
    {{ return(adapter.dispatch('add_days', 'smartretail')(day, days)) }}
{%- endmacro %}

{% macro default__add_days(day, days) -%}
    ({{ day }} + {{ days }})
{%- endmacro %}

{% macro spark__add_days(day, days) -%}
    date_add({{ day }}, {{ days }})
{%- endmacro %}

{#- Whole days from one date to another. -#}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch('days_between', 'smartretail')(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    ({{ later }} - {{ earlier }})
{%- endmacro %}

{% macro duckdb__days_between(earlier, later) -%}
    date_diff('day', {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro spark__days_between(earlier, later) -%}
    datediff({{ later }}, {{ earlier }})
{%- endmacro %}

{#- Monday = 1 to Sunday = 7. -#}
{% macro iso_weekday(day) -%}
    {{ return(adapter.dispatch('iso_weekday', 'smartretail')(day)) }}
{%- endmacro %}

{% macro default__iso_weekday(day) -%}
    cast(extract(isodow from {{ day }}) as integer)
{%- endmacro %}

{% macro spark__iso_weekday(day) -%}
    cast(weekday({{ day }}) + 1 as integer)
{%- endmacro %}

{#- Month of a date, 1 to 12. -#}
{% macro month_of(day) -%}
    cast(extract(month from {{ day }}) as integer)
{%- endmacro %}

{#- Season of a date: 1 = December to February, 2 = March to May, 3 = June to August, 4 = the rest. -#}
{% macro season_of(day) -%}
    case
        when extract(month from {{ day }}) in (12, 1, 2) then 1
        when extract(month from {{ day }}) in (3, 4, 5) then 2
        when extract(month from {{ day }}) in (6, 7, 8) then 3
        else 4
    end
{%- endmacro %}

{#- A select of every day from one date to another, both included, as `date_day`. -#}
{% macro days_from_to(first_day, last_day) -%}
    {{ return(adapter.dispatch('days_from_to', 'smartretail')(first_day, last_day)) }}
{%- endmacro %}

{% macro default__days_from_to(first_day, last_day) -%}
    select cast(series.day_at as date) as date_day
    from generate_series(
        cast({{ first_day }} as timestamp), cast({{ last_day }} as timestamp), interval '1 day'
    ) as series (day_at)
{%- endmacro %}

{% macro spark__days_from_to(first_day, last_day) -%}
    select explode(
        case
            when {{ first_day }} <= {{ last_day }}
                then sequence({{ first_day }}, {{ last_day }}, interval 1 day)
        end
    ) as date_day
{%- endmacro %}

{#- A text as a date where it is one, else null. -#}
{% macro date_if_valid(text) -%}
    {{ return(adapter.dispatch('date_if_valid', 'smartretail')(text)) }}
{%- endmacro %}

{% macro default__date_if_valid(text) -%}
    try_cast({{ text }} as date)
{%- endmacro %}

{% macro spark__date_if_valid(text) -%}
    try_to_date({{ text }}, 'y-M-d')
{%- endmacro %}

{% macro postgres__date_if_valid(text) -%}
    case when pg_input_is_valid({{ text }}, 'date') then cast({{ text }} as date) end
{%- endmacro %}
