{#- Sources are described by layer and name; with one schema for everything they stand elsewhere. -#}
{% macro source(source_name, table_name) -%}
    {%- set relation = builtins.source(source_name, table_name) -%}
    {%- if one_schema() and relation.schema in ('raw', 'predictions') -%}
        {{ return(placed(relation.schema, relation.identifier)) }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}
