{#-
    Portions: a statement that is too much for memory at once is worked off in several, each for some of
    its as-of dates, and all of them in the one transaction that makes the table. The compiled statement
    holds a condition that is true and says whose dates it stands for; only where a table is made from
    it does a narrower one take its place. Bare, it is the statement for all dates.
-#}

{#- The condition: true, until portions of the dates of a prediction are taken. -#}
{% macro in_portion(prediction) -%}
    true /* or a portion of the dates of {{ prediction }} */
{%- endmacro %}

{#- The statements that work off a compiled one: itself, or one for each portion. -#}
{% macro portions_of(compiled_code) -%}
    {%- set mark = modules.re.search('true /\* or a portion of the dates of (\w+) \*/', compiled_code) -%}
    {%- if not mark -%}
        {{ return([compiled_code]) }}
    {%- endif -%}
    {%- set lines_table = graph.nodes['model.smartretail.int_order_lines'].relation_name -%}
    {%- set lines = run_query('select count(*) from ' ~ lines_table).columns[0].values()[0] -%}
    {%- set dates = run_query(missing_as_of_dates(mark.group(1)) ~ ' order by as_of_date').columns[0].values() -%}
    {%- set count = [(lines * dates | length / var('lines_at_once')) | round(0, 'ceil') | int, dates | length] | min -%}
    {%- if count < 2 -%}
        {{ return([compiled_code]) }}
    {%- endif -%}
    {%- set statements = [] -%}
    {%- for first in range(count) -%}
        {#- every so many-th date: early ones, before which little was known, in each -#}
        {%- set some = "as_of_date in (date '" ~ dates[first::count] | join("', date '") ~ "')" -%}
        {%- do statements.append(compiled_code | replace(mark.group(0), some)) -%}
    {%- endfor -%}
    {{ return(statements) }}
{%- endmacro %}

{#- dbt-duckdb's own, portion by portion. -#}
{% macro duckdb__create_table_as(
    temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none
) -%}
    {%- set statements = portions_of(compiled_code) if language == 'sql' else [compiled_code] -%}
    {{ dbt.duckdb__create_table_as(
        temporary, relation, statements[0], language, partitioned_by=partitioned_by, sorted_by=sorted_by
    ) }}
    {%- for statement in statements[1:] %}
    insert into {{ relation.include(database=(not temporary), schema=(not temporary)) }}
    select * from ({{ statement }});
    {%- endfor %}
{%- endmacro %}
