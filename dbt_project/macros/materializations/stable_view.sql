{#-
    What BI reads. Created once; afterwards touched only when its definition changed, and then with
    `create or replace view`, which keeps grants and the views that others built on it. Readers never
    queue behind a nightly run that changed nothing. A column that was renamed, retyped or removed is
    refused, with the way out, rather than dropped together with everything that hangs on it.
-#}
{% materialization stable_view, default %}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set mark = 'smartretail definition ' ~ local_md5(sql) -%}

    {{ run_hooks(pre_hooks) }}

    {%- if existing is not none and stable_view_mark(target_relation) == mark -%}
        {% call noop_statement('main', 'UNCHANGED', code='UNCHANGED') -%}
            {{ sql }}
        {%- endcall %}
    {%- else -%}
        {%- if existing is not none -%}
            {%- do refuse_changed_columns(existing, sql) -%}
        {%- endif -%}
        {% call statement('main') -%}
            create or replace view {{ target_relation }} as
            {{ sql }}
        {%- endcall %}
        {%- do run_query("comment on view " ~ target_relation ~ " is '" ~ mark ~ "'") -%}
        {%- do apply_grants(target_relation, config.get('grants'), should_revoke=False) -%}
        {{ run_hooks(post_hooks) }}
        {%- do adapter.commit() -%}
    {%- endif -%}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- The mark that was left on a view when it was defined. -#}
{% macro stable_view_mark(relation) -%}
    {{ return(adapter.dispatch('stable_view_mark', 'smartretail')(relation)) }}
{%- endmacro %}

{% macro postgres__stable_view_mark(relation) -%}
    {%- set found = run_query("select obj_description(to_regclass('" ~ relation ~ "'), 'pg_class')") -%}
    {{ return(found.rows[0][0]) }}
{%- endmacro %}

{% macro default__stable_view_mark(relation) -%}
    {{ return(none) }}
{%- endmacro %}

{% macro refuse_changed_columns(existing, sql) -%}
    {%- set kept = adapter.get_columns_in_relation(existing) -%}
    {%- set new = get_column_schema_from_query(sql) -%}
    {%- set new_types = {} -%}
    {%- for column in new -%}
        {%- do new_types.update({column.name: column.data_type}) -%}
    {%- endfor -%}
    {%- for column in kept -%}
        {%- if loop.index > new | length or new[loop.index0].name != column.name -%}
            {{ exceptions.raise_compiler_error(
                "The view " ~ existing ~ " would lose or move its column '" ~ column.name ~ "'. BI reads it, so columns "
                ~ "are only added, at the end. If it must go: tell its readers, run `drop view "
                ~ existing ~ "` yourself, and build again."
            ) }}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
