{#-
    The attributes whose values get a return rate of their own: all but dates, which are no kinds of
    anything.
-#}
{% macro return_rate_attributes(relation) -%}
    {%- set names = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation)
            if column.name.startswith('attribute_') and column.data_type | lower != 'date' -%}
            {%- do names.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{#-
    What histories return risk keeps: by name, the columns that say whose history it is. Names hold the
    number of an attribute instead of its name, which may be as long as a name can be.
-#}
{% macro return_histories(attributes) -%}
    {%- set histories = {
        'customer': ['customer_id'],
        'product': ['product_id'],
        'category': ['category'],
        'customer_product': ['customer_id', 'product_id'],
        'customer_category': ['customer_id', 'category'],
    } -%}
    {%- for attribute in attributes -%}
        {%- set value = 'value_' ~ loop.index -%}
        {%- do histories.update({value: [attribute]}) -%}
        {%- if attribute.startswith('attribute_line_') -%}
            {%- do histories.update({
                'product_' ~ value: ['product_id', attribute],
                'category_' ~ value: ['category', attribute],
                'customer_' ~ value: ['customer_id', attribute],
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(histories) }}
{%- endmacro %}

{#-
    What histories tell of a line, beside its attributes. Outcomes carry it along: whoever asks what became of
    lines reads one table, where a join would match all lines of a shop with all their outcomes.
-#}
{% macro history_columns(relation) -%}
    {{ return(
        ['order_id', 'customer_id', 'customer_or_order_id', 'product_id', 'category', 'unit_price', 'net_amount']
        + columns_like(relation, 'attribute_')
    ) }}
{%- endmacro %}

{#- What is known of an order: all of it, and the parts of it that are like the line. -#}
{% macro return_baskets(attributes) -%}
    {%- set baskets = {
        'order': ['order_id'],
        'order_product': ['order_id', 'product_id'],
        'order_category': ['order_id', 'category'],
    } -%}
    {%- for attribute in attributes if attribute.startswith('attribute_line_') -%}
        {%- do baskets.update({
            'order_value_' ~ (attributes.index(attribute) + 1): ['order_id', 'product_id', attribute],
        }) -%}
    {%- endfor -%}
    {{ return(baskets) }}
{%- endmacro %}

{#-
    What changes in the histories of lines, and on which day: a line is known, its outcome is settled, an
    early return is known until then.
-#}
{% macro changes_of_lines(lines, keys, measures) -%}
    select
        {{ keys }},
        changed_on,
        {{- return_changes(
            measures,
            {'line_count': 1, 'unit_price': 'unit_price', 'net_amount': 'net_amount'},
            sold_on='changed_on',
        ) }}
    from {{ lines }}

    union all

    select
        {{ keys }},
        label_known_at as changed_on,
        {{- return_changes(measures, {
            'settled': 1,
            'returned': 'label',
            'unsettled_returns': 'case when returned_known_on is null then 0 else -1 end',
        }) }}
    from {{ lines }}
    where label_known_at is not null

    union all

    select
        {{ keys }},
        returned_known_on as changed_on,
        {{- return_changes(measures, {'unsettled_returns': 1}) }}
    from {{ lines }}
    where returned_known_on is not null
{%- endmacro %}

{#-
    What a row adds to each measure of a history: nothing, unless named. First and last days on which
    something was sold are carried along, for a row may stand for many days.
-#}
{% macro return_changes(measures, added={}, sold_on='null') %}
        {{ sold_on }} as first_sold_on,
        {{ sold_on }} as last_sold_on,
        {%- for measure in measures %}
        {{ added.get(measure, 0) }} as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro %}

{#- True for lines of which something changes on a day or later: they are known, settled or back. -#}
{% macro changed_from(lines, day) -%}
    greatest(
        {{ add_days(lines ~ '.as_of_date', -1) }},
        {{ lines }}.label_known_at,
        {{ lines }}.returned_known_on
    ) >= {{ day }}
{%- endmacro %}

{#- The sums of what had changed before a day, over lines with their outcomes. -#}
{% macro return_changes_before(day) %}
        {%- set changed_on = add_days('as_of_date', -1) %}
        min(case when {{ changed_on }} < {{ day }} then {{ changed_on }} end) as first_sold_on,
        max(case when {{ changed_on }} < {{ day }} then {{ changed_on }} end) as last_sold_on,
        sum(case when {{ changed_on }} < {{ day }} then 1 else 0 end) as line_count,
        sum(case when {{ changed_on }} < {{ day }} then unit_price else 0 end) as unit_price,
        sum(case when label_known_at < {{ day }} then 1 else 0 end) as settled,
        sum(case when label_known_at < {{ day }} then label else 0 end) as returned,
        sum(
            case when returned_known_on < {{ day }} then 1 else 0 end
            - case when label_known_at < {{ day }} and returned_known_on is not null then 1 else 0 end
        ) as unsettled_returns
{%- endmacro %}
