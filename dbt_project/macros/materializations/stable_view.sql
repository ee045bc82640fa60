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
        {%- do run_query(mark_stable_view(target_relation, mark)) -%}
        {%- set grants = dict(config.get('grants') or {}) -%}
        {%- if model.config.schema == 'marts' -%}
            {%- set readers = (grants.get('select') or []) + marts_readers(target_relation) -%}
            {%- do grants.update({'select': readers}) if readers -%}
        {%- endif -%}
        {%- do apply_grants(target_relation, grants, should_revoke=False) -%}
        {{ run_hooks(post_hooks) }}
        {%- do adapter.commit() -%}
    {%- endif -%}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- The statement that leaves a mark on a view. -#}
{% macro mark_stable_view(relation, mark) -%}
    {{ return(adapter.dispatch('mark_stable_view', 'smartretail')(relation, mark)) }}
{%- endmacro %}

{% macro default__mark_stable_view(relation, mark) -%}
    comment on view {{ relation }} is '{{ mark }}'
{%- endmacro %}

{% macro spark__mark_stable_view(relation, mark) -%}
    alter view {{ relation }} set tblproperties ('smartretail.definition' = '{{ mark }}')
{%- endmacro %}

{#- The mark that was left on a view when it was defined. -#}
{% macro stable_view_mark(relation) -%}
    {{ return(adapter.dispatch('stable_view_mark', 'smartretail')(relation)) }}
{%- endmacro %}

{% macro postgres__stable_view_mark(relation) -%}
    {%- set found = run_query("select obj_description(to_regclass('" ~ relation ~ "'), 'pg_class')") -%}
    {{ return(found.rows[0][0]) }}
{%- endmacro %}

{% macro duckdb__stable_view_mark(relation) -%}
    {%- set found = run_query(
        "select comment from duckdb_views() where database_name = '" ~ relation.database
        ~ "' and schema_name = '" ~ relation.schema ~ "' and view_name = '" ~ relation.identifier ~ "'"
    ) -%}
    {{ return(found.rows[0][0] if found.rows | length else none) }}
{%- endmacro %}

{% macro spark__stable_view_mark(relation) -%}
    {%- set found = run_query('show tblproperties ' ~ relation ~ " ('smartretail.definition')") -%}
    {{ return(found.rows[0][1]) }}
{%- endmacro %}

{% macro default__stable_view_mark(relation) -%}
    {{ return(none) }}
{%- endmacro %}

{#-
    Roles that a mart is granted to when it is made: whoever may read the mart of customers. `smartretail
    db roles` begins it; a view that a later version adds, or that somebody dropped, follows.
-#}
{% macro marts_readers(relation) -%}
    {{ return(adapter.dispatch('marts_readers', 'smartretail')(relation)) }}
{%- endmacro %}

{% macro postgres__marts_readers(relation) -%}
    {%- set customers = 'marts__customers' if relation.identifier.startswith('marts__') else 'customers' -%}
    {%- set found = run_query(
        "select cast(cast(given.grantee as regrole) as text) from pg_class "
        ~ "inner join pg_namespace on pg_namespace.oid = pg_class.relnamespace "
        ~ "cross join lateral aclexplode(pg_class.relacl) as given "
        ~ "where pg_namespace.nspname = '" ~ relation.schema ~ "' and pg_class.relname = '" ~ customers
        ~ "' and given.privilege_type = 'SELECT' and given.grantee not in (0, pg_class.relowner)"
    ) -%}
    {{ return(found.columns[0].values() | list) }}
{%- endmacro %}

{% macro default__marts_readers(relation) -%}
    {{ return([]) }}
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
