{#-
    A feature whose logic changed must not keep old rows. The lineage hash of a model covers its own
    SQL, that of all its ancestors, the project's macros and variables, and the kinds of the shop's
    attributes. It is recorded when the model is built; when it differs from what was recorded, the
    model is rebuilt whole.
-#}
{% macro lineage_hash(unique_id) -%}
    {%- set seen = {} -%}
    {%- for current in [unique_id] + nodes_above(unique_id) -%}
        {%- do seen.update({current: graph.nodes[current].checksum.checksum}) -%}
    {%- endfor -%}
    {%- set parts = [
        env_var('SMARTRETAIL_MACROS_HASH', ''), shop_source(),
        var('label_grace_days') | string, var('return_window_days') | string,
        return_label(), var('proxy_discount') | string,
        attribute_kinds() | string,
    ] -%}
    {%- for name, checksum in seen | dictsort -%}
        {%- do parts.append(name ~ '=' ~ checksum) -%}
    {%- endfor -%}
    {{ return(local_md5(parts | join('\n'))) }}
{%- endmacro %}

{#- The models and seeds above one, by their ids; not those that lie beyond a materialization of `stop_at`. -#}
{% macro nodes_above(unique_id, stop_at=[]) -%}
    {%- set pending = [unique_id] -%}
    {%- set seen = [] -%}
    {%- for _ in range(10000) if pending -%}
        {%- for parent in graph.nodes[pending.pop()].depends_on.nodes
            if parent in graph.nodes and parent not in seen -%}
            {%- do seen.append(parent) -%}
            {%- do pending.append(parent) if graph.nodes[parent].config.materialized not in stop_at -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(seen) }}
{%- endmacro %}

{#- The schema under which a model is recorded: its layer, even where all stand in one schema. -#}
{% macro recorded_schema(node) -%}
    {{ return(node.config.schema if target.name == 'prod' and one_schema() else node.schema) }}
{%- endmacro %}

{#- The hash with which the model being built was last built for this target, or none. -#}
{% macro recorded_lineage_hash() -%}
    {%- set found = run_query(
        "select feature_hash from " ~ placed('predictions', 'feature_builds')
        ~ " where schema_name = '" ~ recorded_schema(model) ~ "' and model_name = '" ~ model.name
        ~ "' order by built_at desc limit 1"
    ) -%}
    {{ return(found.rows[0][0] if found and found.rows | length else none) }}
{%- endmacro %}

{#- Run after a feature or label model was built. -#}
{% macro record_lineage_hash() -%}
    {%- if execute -%}
        {%- set hash = lineage_hash(model.unique_id) -%}
        {%- if hash != recorded_lineage_hash() -%}
            {#- the newest row counts: it must be the newest even after the clock was set back -#}
            insert into {{ placed('predictions', 'feature_builds') }}
            select
                '{{ recorded_schema(model) }}', '{{ model.name }}', '{{ hash }}',
                greatest({{ utc_now() }}, coalesce({{ dbt.dateadd('second', 1, 'max(earlier.built_at)') }}, {{ utc_now() }}))
            from {{ placed('predictions', 'feature_builds') }} as earlier
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro utc_now() -%}
    {{ return(adapter.dispatch('utc_now', 'smartretail')()) }}
{%- endmacro %}

{% macro default__utc_now() -%}
    clock_timestamp() at time zone 'UTC'
{%- endmacro %}

{% macro duckdb__utc_now() -%}
    cast(now() at time zone 'UTC' as timestamp)
{%- endmacro %}

{% macro spark__utc_now() -%}
    current_timestamp()
{%- endmacro %}

{#-
    dbt asks this before an incremental build. Ours adds: yes, when the logic changed since the
    rows were made.
-#}
{% macro should_full_refresh() -%}
    {%- set config_full_refresh = config.get('full_refresh') -%}
    {%- if config_full_refresh is not none -%}
        {{ return(config_full_refresh) }}
    {%- endif -%}
    {%- if flags.FULL_REFRESH -%}
        {{ return(true) }}
    {%- endif -%}
    {%- if execute and ('feature' in config.get('tags', []) or 'label' in config.get('tags', [])) -%}
        {%- set recorded = recorded_lineage_hash() -%}
        {%- if recorded is not none and recorded != lineage_hash(model.unique_id) -%}
            {{ return(true) }}
        {%- endif -%}
    {%- endif -%}
    {%- if execute and 'by_load' in config.get('tags', []) -%}
        {{ return(must_be_whole()) }}
    {%- endif -%}
    {{ return(false) }}
{%- endmacro %}
