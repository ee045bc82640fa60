{#-
    Sources are described by layer and name; with one schema for everything they stand elsewhere. Where
    lines of a file are scored, a scratch schema stands in for `raw`.
-#}
{% macro source(source_name, table_name) -%}
    {%- set relation = builtins.source(source_name, table_name) -%}
    {%- set scratch = env_var('SMARTRETAIL_SCRATCH_SCHEMA', '') -%}
    {%- if scratch and relation.schema == 'raw' -%}
        {{ return(relation.replace_path(schema=scratch)) }}
    {%- elif one_schema() and relation.schema in ('raw', 'predictions') -%}
        {{ return(placed(relation.schema, relation.identifier)) }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}
