{#-
    The staging folder that feeds the shop model. A home holds one shop, so this is a property of
    the home, set by `smartretail` from what was loaded.
-#}
{% macro shop_source() -%}
    {{ return(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines')) }}
{%- endmacro %}

{#- The staging model of the shop's source for an entity: `stg_<source>__<entity>`. -#}
{% macro ref_shop(entity) -%}
    {{ return(ref('stg_' ~ shop_source() ~ '__' ~ entity)) }}
{%- endmacro %}

{#- The columns of a relation that start with a prefix, in the order of the relation. -#}
{% macro columns_like(relation, prefix) -%}
    {%- set names = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) if column.name.startswith(prefix) -%}
            {%- do names.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}
