{#-
    The attributes whose values get a return rate of their own: all but dates, which are no kinds of
    anything.
-#}
{% macro return_rate_attributes(relation) -%}
    {%- set names = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation)
            if column.name.startswith('attribute_') and column.data_type | lower != 'date' -%}
            {%- do names.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}
