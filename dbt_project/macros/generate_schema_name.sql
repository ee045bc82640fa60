{#-
    The prod target fills the schemas that BI reads; every other target keeps to a schema of its own.
    Where SMARTRETAIL_WAREHOUSE_SCHEMA names one schema for everything, the layer goes before the
    name instead: `marts.order_habit` is `<schema>.marts__order_habit`.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if target.name == 'prod' and one_schema() -%}
        {{ one_schema() }}
    {%- elif target.name == 'prod' and custom_schema_name is not none -%}
        {{ custom_schema_name | trim }}
    {%- else -%}
        {{ target.schema }}
    {%- endif -%}
{%- endmacro %}

{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {%- set name = custom_alias_name or node.name -%}
    {%- set layer = node.config.schema if node and node.resource_type in ('model', 'seed') else none -%}
    {%- if target.name == 'prod' and one_schema() and layer -%}
        {{ layer }}__{{ name }}
    {%- else -%}
        {{ name }}
    {%- endif -%}
{%- endmacro %}

{#- The schema that everything goes to; empty where each layer has its own. -#}
{% macro one_schema() -%}
    {{ return(env_var('SMARTRETAIL_WAREHOUSE_SCHEMA', '')) }}
{%- endmacro %}

{#- A table that Python makes, where it stands: layer and name, as `raw` and `loads`. -#}
{% macro placed(layer, name) -%}
    {%- if one_schema() -%}
        {{ return(api.Relation.create(
            database=target.database or none, schema=one_schema(), identifier=layer ~ '__' ~ name, type='table'
        )) }}
    {%- endif -%}
    {{ return(api.Relation.create(
        database=target.database or none, schema=layer, identifier=name, type='table'
    )) }}
{%- endmacro %}
