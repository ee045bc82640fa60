{#-
    Models that grow by load: of the shop model, a build makes anew only what the loads since the last
    build can have changed. The table `predictions.digested_loads` says which loads each table holds, by
    the lineage hash with which it was built: a load counts as digested when it was there before the run
    began and when every table above has digested it. A model of which nothing is on record (a new one,
    one whose logic changed, any after a customer was forgotten) is built whole.

    What belongs together is the customer, or the order of a guest: matches, orders and tastes never
    reach beyond. int_changed_owners says who is concerned; their rows are replaced in one
    transaction by the strategy `replace_changed`. Sums over everybody's rows are replaced by day
    (touched_days_of).
-#}

{#- How a model that grows by load is kept; engines that cannot replace rows make it anew. -#}
{% macro grows_by_load() -%}
    {{ return(adapter.dispatch('grows_by_load', 'smartretail')()) }}
{%- endmacro %}

{% macro default__grows_by_load() -%}
    {{ return('incremental') }}
{%- endmacro %}

{% macro spark__grows_by_load() -%}
    {{ return('table') }}
{%- endmacro %}

{#- Whether a model that is there gets its next rows, and is not compiled to answer one question about others. -#}
{% macro is_increment() -%}
    {{ return(is_incremental() and outcomes_until() is none) }}
{%- endmacro %}

{#-
    True for the rows of whoever changed since the model was last built; for all rows where it is built
    whole, and where it is compiled to answer one question. `kind`: owner (customer_id and order_id stand
    in the rows), customer, or line (line_key).
-#}
{% macro of_changed(kind, alias='') -%}
    {#- named outside of the condition, so that dbt knows of them -#}
    {%- set owners = ref('int_changed_owners') -%}
    {%- set lines = ref('int_changed_lines') if kind == 'line' else none -%}
    {%- if is_increment() -%}
        {{ is_changed(kind, owners, lines, alias ~ '.' if alias else '') }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro is_changed(kind, owners, lines, prefix='') -%}
    {%- if kind == 'line' -%}
        {{ prefix }}line_key in (select changed.line_key from {{ lines }} as changed)
    {%- elif kind == 'customer' -%}
        {{ prefix }}customer_id in (
            select changed.customer_id from {{ owners }} as changed
            where changed.customer_id is not null
        )
    {%- else -%}
        coalesce({{ prefix }}customer_id, {{ prefix }}order_id) in (
            select coalesce(changed.customer_id, changed.order_id) from {{ owners }} as changed
        )
    {%- endif -%}
{%- endmacro %}

{#-
    Sums over everybody's rows, of a day and of the day on which they were known, hang on no customer. What is
    new to a model was known on some day at the earliest: sums change only where something was known or
    replaced from that day on, and are then added up anew, for the days (ordered_on, known_on) that they are
    of. Here are these days, as the CTE `touched_days`, of relations with those columns and superseded_on;
    nothing where a model is built whole.
-#}
{% macro touched_days_of(relations) -%}
    {#- named outside of the condition, so that dbt knows of it -#}
    {%- set shop_lines = ref_shop('order_lines') -%}
    {%- if is_incremental() -%}
since as (

    {{ first_known_of_missing(shop_lines) }}

),

touched_days as (

    {%- for relation in relations + [this] %}

    select
        ordered_on,
        known_on
    from {{ relation }}
    where {{ known_or_replaced_since('select since.known_on from since') }}
    {{ 'union' if not loop.last }}
    {%- endfor %}

),
    {%- endif -%}
{%- endmacro %}

{#- True for rows of those days, and for all rows where a model is built whole. -#}
{% macro of_touched_day() -%}
    {%- if is_incremental() -%}
        (ordered_on, known_on) in (
            select touched_days.ordered_on, touched_days.known_on from touched_days
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- A query of the day on which the first of the rows that the model lacks was known; null where it lacks none. -#}
{% macro first_known_of_missing(shop_lines) -%}
    select min(cast(missing_rows.known_at as date)) as known_on
    from {{ shop_lines }} as missing_rows
    where {{ in_missing_loads('missing_rows.load_id') }}
{%- endmacro %}

{#- True for rows that were known, or replaced, on the day that a query gives, or later. -#}
{% macro known_or_replaced_since(query) -%}
    greatest(known_on, superseded_on) >= ({{ query }})
{%- endmacro %}

{#-
    dbt's way to name a strategy: the rows of who changed go, those of the increment come. Whose they are
    is said by unique_key, which need not be one: line_key, customer_id, both customer_id and order_id, or,
    for sums over everybody's rows, both ordered_on and known_on.
-#}
{% macro get_incremental_replace_changed_sql(arg_dict) -%}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set temp_relation = arg_dict['temp_relation'] -%}
    {%- set key = arg_dict['unique_key'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {#- one condition at a time: a join where sets are big, which "or" would stand in the way of -#}
    {%- if key == ['ordered_on', 'known_on'] %}
    delete from {{ target_relation }}
    where {{ known_or_replaced_since(first_known_of_missing(ref_shop('order_lines'))) }};

    delete from {{ target_relation }}
    where (ordered_on, known_on) in (select ordered_on, known_on from {{ temp_relation }});
    {%- else %}
    {%- set kind = 'line' if key == 'line_key' else ('customer' if key == 'customer_id' else 'owner') %}
    delete from {{ target_relation }}
    where {{ is_changed(kind, ref('int_changed_owners'), ref('int_changed_lines') if kind == 'line' else none) }};
    {%- if kind == 'line' %}

    delete from {{ target_relation }}
    where line_key in (select line_key from {{ temp_relation }});
    {%- endif %}
    {%- endif %}

    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ temp_relation }}
{%- endmacro %}

{#- Whether rows of `raw` are those of the shop, and not laid out for one question. -#}
{% macro keeps_loads() -%}
    {{ return(grows_by_load() == 'incremental' and not env_var('SMARTRETAIL_SCRATCH_SCHEMA', '')) }}
{%- endmacro %}

{#- At run start: the loads that are there. What is loaded while dbt is at work is left to the next run. -#}
{% macro note_loads() -%}
    {%- set loads = placed('raw', 'loads') -%}
    {%- set ledger = placed('predictions', 'digested_loads') -%}
    {%- if keeps_loads() and load_relation(loads) is not none -%}
        {%- call statement('note_loads', auto_begin=true) -%}
            insert into {{ ledger }} (schema_name, model_name, lineage_hash, load_id, digested_at)
            select distinct 'raw', 'loads', '', loads.load_id, {{ utc_now() }}
            from {{ loads }} as loads
            where loads.load_id not in (
                select noted.load_id from {{ ledger }} as noted where noted.schema_name = 'raw'
            )
        {%- endcall -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{%- endmacro %}

{#- What a table's rows in the ledger begin with, as SQL: schema, name and lineage hash. -#}
{% macro digest_key(node) -%}
    {{ return(
        "'" ~ recorded_schema(node) ~ "', '" ~ node.name ~ "', '" ~ lineage_hash(node.unique_id) ~ "'"
    ) }}
{%- endmacro %}

{#- A query of the loads that some tables hold, each of them, by their keys in the ledger. -#}
{% macro loads_held_by(keys) -%}
    select load_id from {{ placed('predictions', 'digested_loads') }}
    where (schema_name, model_name, lineage_hash) in (({{ keys | join('), (') }}))
    group by load_id
    having count(*) = {{ keys | length }}
{%- endmacro %}

{#-
    The loads that were there at run start and that the tables next above a model hold; they hold
    none that those above them lack.
-#}
{% macro loads_above(unique_id) -%}
    {%- set tables = ['table', 'incremental'] -%}
    {%- set keys = ["'raw', 'loads', ''"] -%}
    {%- for parent in nodes_above(unique_id, stop_at=tables)
        if parent.startswith('model.') and graph.nodes[parent].config.materialized in tables -%}
        {%- do keys.append(digest_key(graph.nodes[parent])) -%}
    {%- endfor -%}
    {{ loads_held_by(keys) }}
{%- endmacro %}

{#- The loads that a model holds. -#}
{% macro loads_within(unique_id) -%}
    {{ loads_held_by([digest_key(graph.nodes[unique_id])]) }}
{%- endmacro %}

{#-
    The loads that are new to any of the models below int_changed_owners, as numbers. A
    model that holds no load is built whole, and asks for none.
-#}
{% macro loads_new_to_any() -%}
    {%- set loads = [] -%}
    {%- if execute and keeps_loads() -%}
        {%- set above = run_query(loads_above(model.unique_id)).columns[0].values() | list -%}
        {%- for node in graph.nodes.values()
            if node.resource_type == 'model' and node.config.materialized == 'incremental'
            and 'by_load' in node.tags and model.unique_id in nodes_above(node.unique_id) -%}
            {%- set held = run_query(loads_within(node.unique_id)).columns[0].values() | list -%}
            {%- if held -%}
                {%- do loads.extend(above | reject('in', held)) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(loads | unique | sort) }}
{%- endmacro %}

{#- True for rows of some loads. -#}
{% macro in_loads(column, loads) -%}
    {%- if loads -%}
        {{ column }} in ({{ loads | join(', ') }})
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{#-
    True for raw rows of the loads that the model being built lacks; not of those that come in while it is
    built, which the next build adds.
-#}
{% macro in_missing_loads(column) -%}
    {%- if execute and keeps_loads() -%}
        {{ column }} in (
            select missing.load_id from (
                {{ loads_above(model.unique_id) }}
                {%- if is_incremental() %}
                except
                {{ loads_within(model.unique_id) }}
                {%- endif %}
            ) as missing
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#-
    After a table was built: the loads that it holds now. What other logic held goes: should that logic come
    back, its rows are not there any more.
-#}
{% macro record_loads() -%}
    {%- if execute and keeps_loads() and config.get('materialized') in ('table', 'incremental') -%}
        delete from {{ placed('predictions', 'digested_loads') }}
        where
            schema_name = '{{ recorded_schema(model) }}'
            and model_name = '{{ model.name }}'
            and lineage_hash <> '{{ lineage_hash(model.unique_id) }}';

        insert into {{ placed('predictions', 'digested_loads') }}
            (schema_name, model_name, lineage_hash, load_id, digested_at)
        select {{ digest_key(model) }}, new_loads.load_id, {{ utc_now() }}
        from (
            {{ loads_above(model.unique_id) }}
            except
            {{ loads_within(model.unique_id) }}
        ) as new_loads
    {%- endif -%}
{%- endmacro %}

{#-
    Whether a model that grows by load must be built whole: the source's own staging is (it says what a
    load can change), or no load is on record for it.
-#}
{% macro must_be_whole() -%}
    {%- if not keeps_loads() -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set staged = 'model.smartretail.stg_' ~ shop_source() ~ '__order_lines' -%}
    {%- if graph.nodes[staged].config.materialized != 'incremental' -%}
        {{ return(true) }}
    {%- endif -%}
    {{ return(run_query(loads_within(model.unique_id) ~ ' limit 1').rows | length == 0) }}
{%- endmacro %}
