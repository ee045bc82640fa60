{#-
    The tables that Python writes and dbt reads as the source `predictions`. Created empty at run
    start, so that a first build works before anything was scored. Append-only: nothing updates them.
    There is one table of scores for each label model `label_<prediction>`, keyed as its yml says.
-#}
{% macro landing_tables() -%}
    {%- set text = dbt.type_string() -%}
    {%- set at = dbt.type_timestamp() -%}
    {%- set score_columns = [
        ('as_of_date', 'date'), ('horizon_days', 'integer'), ('run_id', text),
        ('probability', type_double()), ('reasons', text), ('scored_at', at), ('label_known_at', 'date'),
    ] -%}
    {%- set tables = {
        'runs': [
            ('run_id', text), ('prediction', text), ('as_of_date', 'date'), ('horizon_days', 'integer'),
            ('bundle_id', text), ('recipe', text), ('feature_hash', text), ('newest_input_at', at),
            ('row_count', 'bigint'), ('created_at', at), ('detail', text),
        ],
        'run_events': [
            ('event_number', 'bigint'), ('run_id', text), ('prediction', text), ('event', text),
            ('happened_at', at), ('detail', text),
        ],
        'metrics': [
            ('bundle_id', text), ('prediction', text), ('recipe', text), ('role', text),
            ('origin_date', 'date'), ('metric', text), ('value', type_double()),
            ('lower_bound', type_double()), ('upper_bound', type_double()), ('measured_at', at),
        ],
        'importances': [
            ('bundle_id', text), ('prediction', text), ('feature', text), ('theme', text),
            ('importance', type_double()),
        ],
        'curves': [
            ('bundle_id', text), ('prediction', text), ('recipe', text), ('role', text),
            ('curve', text), ('position', 'integer'), ('x', type_double()), ('y', type_double()),
            ('lower_bound', type_double()), ('upper_bound', type_double()), ('row_count', 'bigint'),
        ],
        'feature_builds': [
            ('schema_name', text), ('model_name', text), ('feature_hash', text), ('built_at', at),
        ],
        'digested_loads': [
            ('schema_name', text), ('model_name', text), ('load_id', 'bigint'), ('lineage_hash', text),
            ('digested_at', at),
        ],
    } -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name.startswith('label_') -%}
        {%- set keys = [] -%}
        {%- for column in node.columns.values()
            if column.config.meta.get('role') == 'key' and column.name not in ('as_of_date', 'horizon_days') -%}
            {%- do keys.append((column.name, column.data_type)) -%}
        {%- endfor -%}
        {%- do tables.update({node.name[6:]: keys + score_columns}) -%}
    {%- endfor -%}
    {{ return(tables) }}
{%- endmacro %}

{% macro create_landing_tables() -%}
    {%- if execute -%}
        {%- do register_given_tables() -%}
        {%- set landing = placed('predictions', 'runs') -%}
        {#- `if not exists` would ask for the right to create schemas even where it is there -#}
        {%- if not adapter.check_schema_exists(target.database or none, landing.schema) -%}
            {%- do adapter.create_schema(landing) -%}
        {%- endif -%}
        {%- for name, columns in landing_tables().items() -%}
            {%- do run_query(create_empty_table(placed('predictions', name), columns)) -%}
        {%- endfor -%}
        {%- do create_actions_table() -%}
        {%- do note_loads() -%}
    {%- endif -%}
{%- endmacro %}

{#- Actions that the shop took, empty where it told of none (python_ml/ingest/actions.py fills it). -#}
{% macro create_actions_table() -%}
    {%- set actions = placed('raw', 'actions') -%}
    {%- if adapter.check_schema_exists(target.database or none, actions.schema)
        and not env_var('SMARTRETAIL_SCRATCH_SCHEMA', '') -%}
        {%- set text = dbt.type_string() -%}
        {%- set at = dbt.type_timestamp() -%}
        {%- do run_query(create_empty_table(actions, [
            ('customer_id', text), ('action', text), ('prediction', text), ('acted_at', at),
            ('known_at', at), ('loaded_at', at), ('file_name', text),
        ])) -%}
    {%- endif -%}
{%- endmacro %}
