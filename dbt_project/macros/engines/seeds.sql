{#-
    Seeds on Spark. dbt-spark's own macros take the types as they stand in the yml, which are PostgreSQL's
    words, write an empty cell as the text `None`, and do not escape quotes.
-#}
{% macro seed_type(column, place, model, agate_table) -%}
    {%- set type = model['config'].get('column_types', {}).get(
        column, adapter.convert_type(agate_table, place)
    ) -%}
    {{ return(spark_type(type)) }}
{%- endmacro %}

{% macro spark__create_csv_table(model, agate_table) -%}
    {%- set sql -%}
        create table {{ this }} (
            {%- for column in agate_table.column_names %}
            {{ column }} {{ seed_type(column, loop.index0, model, agate_table) }}{{ ',' if not loop.last }}
            {%- endfor %}
        )
    {%- endset -%}
    {%- call statement('_') -%}
        {{ sql }}
    {%- endcall -%}
    {{ return(sql) }}
{%- endmacro %}

{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set sql -%}
        insert into {{ this }} values
        {%- for row in agate_table.rows %}
        (
            {%- for column in agate_table.column_names -%}
                {%- set type = seed_type(column, loop.index0, model, agate_table) -%}
                {%- if row[column] is none -%}
                    cast(null as {{ type }})
                {%- else -%}
                    cast('{{ row[column] | string | replace("'", "''") }}' as {{ type }})
                {%- endif -%}
                {{ ', ' if not loop.last }}
            {%- endfor -%}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    {%- endset -%}
    {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {{ return(sql) }}
{%- endmacro %}
