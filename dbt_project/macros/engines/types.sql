{#- 64-bit floating point. dbt's own type_float() has 32 bits outside Postgres. -#}
{% macro type_double() -%}
    {{ return(adapter.dispatch('type_double', 'smartretail')()) }}
{%- endmacro %}

{% macro default__type_double() -%}
    double precision
{%- endmacro %}

{% macro spark__type_double() -%}
    double
{%- endmacro %}

{#- Money and quantities before they are summed: exact, so that every engine gives the same sum. -#}
{% macro type_amount() -%}
    decimal(18, 4)
{%- endmacro %}

{#- A ratio as double; empty when the denominator is zero or missing. -#}
{% macro ratio(numerator, denominator) -%}
    cast({{ numerator }} as {{ type_double() }}) / nullif(cast({{ denominator }} as {{ type_double() }}), 0)
{%- endmacro %}

{#- One number by another, neither of them whole. Spark would cut a quotient of decimals after a few digits. -#}
{% macro quotient(numerator, denominator) -%}
    {{ return(adapter.dispatch('quotient', 'smartretail')(numerator, denominator)) }}
{%- endmacro %}

{% macro default__quotient(numerator, denominator) -%}
    {{ numerator }} / {{ denominator }}
{%- endmacro %}

{% macro spark__quotient(numerator, denominator) -%}
    cast({{ numerator }} as double) / cast({{ denominator }} as double)
{%- endmacro %}

{#- Of every 1,000 in a named window, this row's: counts would say which season it was, and how large the shop. -#}
{% macro per_thousand(amount, in_window) -%}
    coalesce({{ ratio('1000 * ' ~ amount, 'sum(' ~ amount ~ ') over ' ~ in_window) }}, 0)
{%- endmacro %}

{#- 0.5 ^ (age / half life): the weight of something that happened `age` days ago. -#}
{% macro decay(age_days, half_life_days) -%}
    power(cast(0.5 as {{ type_double() }}), {{ age_days }} / cast({{ half_life_days }} as {{ type_double() }}))
{%- endmacro %}

{#- A type by the name that it has in the yml, PostgreSQL's, in Spark's words. -#}
{% macro spark_type(name) -%}
    {{ return({'text': 'string', 'double precision': 'double'}.get(name, name)) }}
{%- endmacro %}
