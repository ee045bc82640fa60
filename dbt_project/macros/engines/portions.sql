{#-
    Portions: a statement that is too much for memory at once is worked off in several, each for some of
    its as-of dates, customers or owners of lines, and all of them in the one transaction that makes the
    table. The compiled statement holds a condition that is true and says what it stands for; only where a
    table is made from it does a narrower one take its place. Bare, it is the statement for everything.
-#}

{#-
    The condition: true, until portions are taken. `of`: a prediction, for its as_of_date; owners, for
    customer_or_order_id; customers, for customer_id.
-#}
{% macro in_portion(of) -%}
    true /* or a portion of {{ of }} */
{%- endmacro %}

{#- The statements that work off a compiled one: itself, or one for each portion. -#}
{% macro portions_of(compiled_code) -%}
    {%- set mark = modules.re.search('true /\* or a portion of (\w+) \*/', compiled_code) -%}
    {%- if not mark or model.resource_type == 'unit_test' -%}
        {{ return([compiled_code]) }}
    {%- endif -%}
    {%- set of = mark.group(1) -%}
    {%- if of == 'owners' -%}
        {%- set conditions = portions_of_owners() -%}
    {%- elif of == 'customers' -%}
        {%- set conditions = portions_of_customers() -%}
    {%- else -%}
        {%- set conditions = portions_of_dates(of) -%}
    {%- endif -%}
    {%- set statements = [] -%}
    {%- for condition in conditions -%}
        {%- do statements.append(compiled_code | replace(mark.group(0), condition)) -%}
    {%- endfor -%}
    {{ return(statements if statements | length > 1 else [compiled_code]) }}
{%- endmacro %}

{#-
    Dates that follow one another, until the next would be too much: what is worked out once for several dates
    (feat_order_habit) is so within a portion.
-#}
{% macro portions_of_dates(prediction) -%}
    {%- set portions = [] -%}
    {%- set held = namespace(lines=0) -%}
    {%- for row in run_query(known_lines_by_date(prediction)).rows -%}
        {%- if not portions or number_of_portions(held.lines + row[1]) > 1 -%}
            {%- do portions.append([]) -%}
            {%- set held.lines = 0 -%}
        {%- endif -%}
        {%- do portions[-1].append(row[0]) -%}
        {%- set held.lines = held.lines + row[1] -%}
    {%- endfor -%}
    {%- set conditions = [] -%}
    {%- for dates in portions -%}
        {%- do conditions.append("as_of_date in (date '" ~ dates | join("', date '") ~ "')") -%}
    {%- endfor -%}
    {{ return(conditions) }}
{%- endmacro %}

{#- The dates that are missing, in order, and about how many lines were known at each. -#}
{% macro known_lines_by_date(prediction) -%}
    select
        dates.as_of_date,
        cast(coalesce(sum(days.lines), 0) as bigint) as lines
    from ({{ missing_as_of_dates(prediction) }}) as dates
    left join (
        select
            ordered_on as changed_on,
            count(*) as lines
        from {{ shop_table('int_order_lines') }}
        group by ordered_on
    ) as days on {{ change_known_before('days', 'dates.as_of_date') }}
    group by dates.as_of_date
    order by dates.as_of_date
{%- endmacro %}

{#- Owners by a hash of who they are. The histories of a line take as much as a line known at twenty dates. -#}
{% macro portions_of_owners() -%}
    {%- set lines = rows_held(
        shop_table('int_lines_at_order') ~ ' where as_of_date <= (select max(as_of_date) from '
        ~ shop_table('int_as_of_dates') ~ " where prediction = 'return_risk')"
    ) -%}
    {%- if is_incremental() -%}
        {%- set lines = lines - rows_held(this) -%}
    {%- endif -%}
    {{ return(portions_by_hash('customer_or_order_id', number_of_portions(20 * lines))) }}
{%- endmacro %}

{#- Customers who changed, by a hash of who they are. A line is one of its product and one of its category. -#}
{% macro portions_of_customers() -%}
    {%- set lines = rows_held(shop_table('int_order_lines') ~ ' where ' ~ of_changed('customer')) -%}
    {{ return(portions_by_hash('customer_id', number_of_portions(4 * lines))) }}
{%- endmacro %}

{% macro portions_by_hash(column, count) -%}
    {%- set conditions = [] -%}
    {%- for portion in range(count) -%}
        {%- do conditions.append('hash(' ~ column ~ ') % ' ~ count ~ ' = ' ~ portion) -%}
    {%- endfor -%}
    {{ return(conditions) }}
{%- endmacro %}

{% macro number_of_portions(lines) -%}
    {%- if var('lines_at_once') < 1 -%}
        {{ exceptions.raise_compiler_error('lines_at_once in dbt_project.yml must be 1 or more.') }}
    {%- endif -%}
    {{ return((lines / var('lines_at_once')) | round(0, 'ceil') | int) }}
{%- endmacro %}

{#- A table of the shop model, which the model being built may not name itself. -#}
{% macro shop_table(name) -%}
    {{ return(graph.nodes['model.smartretail.' ~ name].relation_name) }}
{%- endmacro %}

{% macro rows_held(table) -%}
    {{ return(run_query('select count(*) from ' ~ table).columns[0].values()[0]) }}
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
