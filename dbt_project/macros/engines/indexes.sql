{#-
    An index on the model that was just built, made where it is missing: as a post-hook, so that
    tables of earlier versions get it too. Nothing on engines without indexes.
-#}
{% macro index_on(columns) -%}
    {{ return(adapter.dispatch('index_on', 'smartretail')(columns)) }}
{%- endmacro %}

{% macro default__index_on(columns) -%}
    {{ return('') }}
{%- endmacro %}

{% macro postgres__index_on(columns) -%}
    {%- set name = (this.identifier ~ '_by_' ~ columns | join('_'))[:63] -%}
    {{ return(
        'create index if not exists ' ~ adapter.quote(name) ~ ' on ' ~ this
        ~ ' (' ~ columns | join(', ') ~ ')'
    ) }}
{%- endmacro %}

{#-
    What a model's `indexes` ask for, where an engine looks rows up by them. DuckDB reads columns and skips
    by their extremes; an index would have to fit into memory while it is made, and slow down what is added.
-#}
{% macro duckdb__get_create_index_sql(relation, index_dict) -%}
    {{ return(none) }}
{%- endmacro %}

{#-
    As a pre-hook of a model that joins what it has just counted: no engine knows how many rows those
    are, and Postgres would loop over them.
-#}
{% macro join_by_hash() -%}
    {{ return(adapter.dispatch('join_by_hash', 'smartretail')()) }}
{%- endmacro %}

{% macro default__join_by_hash() -%}
    {{ return('') }}
{%- endmacro %}

{% macro postgres__join_by_hash() -%}
    {{ return('set local enable_nestloop = off') }}
{%- endmacro %}

{#-
    Whether a column is among the few values that a query gives: rows are found by their index, even where
    joins go by hash.
-#}
{% macro is_one_of_few(column, query) -%}
    {{ return(adapter.dispatch('is_one_of_few', 'smartretail')(column, query)) }}
{%- endmacro %}

{% macro default__is_one_of_few(column, query) -%}
    {{ return(column ~ ' in (' ~ query ~ ')') }}
{%- endmacro %}

{% macro postgres__is_one_of_few(column, query) -%}
    {{ return(column ~ ' = any(array(' ~ query ~ '))') }}
{%- endmacro %}

{#- One number for what a column holds in many rows, in whatever order: the hashes of its values, taken together. -#}
{% macro fingerprint(column) -%}
    {{ return(adapter.dispatch('fingerprint', 'smartretail')(column)) }}
{%- endmacro %}

{% macro default__fingerprint(column) -%}
    {{ return('bit_xor(hash(' ~ column ~ '))') }}
{%- endmacro %}

{% macro postgres__fingerprint(column) -%}
    {{ return('bit_xor(hashtextextended(' ~ column ~ ', 0))') }}
{%- endmacro %}

{% macro spark__fingerprint(column) -%}
    {{ return('bit_xor(xxhash64(' ~ column ~ '))') }}
{%- endmacro %}

{#-
    Whether a query that names columns of the row in question finds nothing in a table. Postgres takes "not
    exists" for a join of which nothing is left, and loops over what it takes for nothing; within "case" it
    looks values up in a hash where they fit into memory, else in the index. ("not in" would go through the
    whole table for every row where they do not.)
-#}
{% macro finds_nothing(query) -%}
    {{ return(adapter.dispatch('finds_nothing', 'smartretail')(query)) }}
{%- endmacro %}

{% macro default__finds_nothing(query) -%}
    {{ return('not exists (' ~ query ~ ')') }}
{%- endmacro %}

{% macro postgres__finds_nothing(query) -%}
    {{ return('case when exists (' ~ query ~ ') then false else true end') }}
{%- endmacro %}
