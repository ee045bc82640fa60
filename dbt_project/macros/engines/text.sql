{#- True when the text matches a POSIX regular expression, case-sensitively. -#}
{% macro regexp_matches(text, pattern) -%}
    {{ return(adapter.dispatch('regexp_matches', 'smartretail')(text, pattern)) }}
{%- endmacro %}

{% macro default__regexp_matches(text, pattern) -%}
    ({{ text }} ~ '{{ pattern }}')
{%- endmacro %}

{% macro duckdb__regexp_matches(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}

{% macro spark__regexp_matches(text, pattern) -%}
    ({{ text }} rlike '{{ pattern }}')
{%- endmacro %}

{#- The texts of a group as one, in order and with commas between: of the rows where the condition holds. -#}
{% macro listed(text, place, condition) -%}
    {{ return(adapter.dispatch('listed', 'smartretail')(text, place, condition)) }}
{%- endmacro %}

{% macro default__listed(text, place, condition) -%}
    string_agg({{ text }}, ', ' order by {{ place }}) filter (where {{ condition }})
{%- endmacro %}

{% macro spark__listed(text, place, condition) -%}
    array_join(transform(array_sort(
        collect_list(struct({{ place }} as place, {{ text }} as said)) filter (where {{ condition }})
    ), listed -> listed.said), ', ')
{%- endmacro %}

{#- The n-th group of a regular expression, as a replacement names it. -#}
{% macro regexp_group(number) -%}
    {{ return(adapter.dispatch('regexp_group', 'smartretail')(number)) }}
{%- endmacro %}

{% macro default__regexp_group(number) -%}
    {{ return('\\' ~ number) }}
{%- endmacro %}

{% macro spark__regexp_group(number) -%}
    {{ return('$' ~ number) }}
{%- endmacro %}
