{#- A table of named and typed columns, made empty where it is missing. -#}
{% macro create_empty_table(relation, columns) -%}
    {{ return(adapter.dispatch('create_empty_table', 'smartretail')(relation, columns)) }}
{%- endmacro %}

{% macro default__create_empty_table(relation, columns) -%}
    create table if not exists {{ relation }} (
        {%- for column, type in columns %}
        {{ column }} {{ type }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{#- Made from a query, so that a file without rows says what its columns are. -#}
{% macro spark__create_empty_table(relation, columns) -%}
    create table if not exists {{ relation }} as
    select
        {%- for column, type in columns %}
        cast(null as {{ spark_type(type) }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    where false
{%- endmacro %}

{#- Tell the engine of the tables that the driver handed to it as files; nothing elsewhere. -#}
{% macro register_given_tables() -%}
    {{ return(adapter.dispatch('register_given_tables', 'smartretail')()) }}
{%- endmacro %}

{% macro default__register_given_tables() -%}
    {{ return('') }}
{%- endmacro %}

{% macro spark__register_given_tables() -%}
    {%- set given = fromjson(env_var('SMARTRETAIL_SPARK_GIVEN', '[]')) -%}
    {%- if given -%}
        {%- do run_query('create schema if not exists raw') -%}
    {%- endif -%}
    {%- set known = run_query('show tables in raw').columns[1].values() if given else [] -%}
    {%- for table in given -%}
        {%- set relation = placed('raw', table.name) -%}
        {%- set held = [] -%}
        {%- if table.name in known -%}
            {%- set held = run_query('show columns in ' ~ relation).columns[0].values() | list -%}
        {%- endif -%}
        {%- if held != table.columns -%}
            {%- do run_query('drop table if exists ' ~ relation) -%}
            {%- do run_query(
                'create table ' ~ relation ~ " using parquet location '" ~ table.location ~ "'"
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- How a view is made that Python reads: on Spark as a table, for the driver sees tables alone. -#}
{% macro view_that_python_reads() -%}
    {{ return(adapter.dispatch('view_that_python_reads', 'smartretail')()) }}
{%- endmacro %}

{% macro default__view_that_python_reads() -%}
    {{ return('view') }}
{%- endmacro %}

{% macro spark__view_that_python_reads() -%}
    {{ return('table') }}
{%- endmacro %}
