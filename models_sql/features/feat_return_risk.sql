{{ config(indexes=[{'columns': ['line_key']}, {'columns': ['as_of_date']}]) }}

{%- set attributes = attribute_features(
    ref('int_lines_at_order'), 'new_lines', 'new_lines.as_of_date'
) %}
{%- set rated = return_rate_attributes(ref('int_lines_at_order')) %}
{%- set item_keys = (['product_id', 'category'] + rated) | join(', ') %}
{%- set histories = return_histories(rated) %}
{%- set baskets = return_baskets(rated) %}
{%- set item_measures = ['line_count', 'unit_price', 'settled', 'returned', 'unsettled_returns'] %}
{%- set customer_measures = item_measures + ['order_count', 'net_amount'] %}
{#- a line changes the day on which it was known; one that the shop does not hold, none -#}
{%- set only_asks = 'ordered_on <> changed_on' if outcomes_until() is none else 'true' %}

with newest as (

    select max(as_of_date) as as_of_date from {{ ref('int_as_of_dates') }}
    where prediction = 'return_risk'

),
{%- if is_increment() %}

dates_that_differ as (

    {{ dates_that_differ(ref('int_lines_at_order'), 'line_key') }}

),
{%- endif %}

new_lines as (

    select
        order_lines.*,
        {{ add_days('order_lines.as_of_date', -1) }} as changed_on
    from {{ ref('int_lines_at_order') }} as order_lines
    inner join newest on order_lines.as_of_date <= newest.as_of_date
    where
        {{ is_missing('order_lines', ['line_key']) }}
        {%- if is_increment() %}
        and order_lines.as_of_date in (select dates_that_differ.as_of_date from dates_that_differ)
        {%- endif %}
        and {{ is_unseen('order_lines') }}
        and {{ in_portion('owners') }}

),

-- Whose histories are asked for: all lines of these customers, and what became of them.
customer_lines as (

    select
        order_lines.customer_id,
        {{ item_keys }},
        order_lines.order_id,
        order_lines.unit_price,
        order_lines.net_amount,
        {{ add_days('order_lines.as_of_date', -1) }} as changed_on,
        order_lines.label,
        order_lines.label_known_at,
        order_lines.returned_known_on
    from {{ ref('int_line_outcomes') }} as order_lines
    inner join newest on order_lines.as_of_date <= newest.as_of_date
    where
        order_lines.horizon_days = {{ var('return_window_days') }}
        and {{ in_portion('owners') }}
        {%- if is_incremental() %}
        and order_lines.customer_id in (select new_lines.customer_id from new_lines)
        {%- else %}
        and order_lines.customer_id is not null
        {%- endif %}

),

first_order_days as (

    select
        order_id,
        customer_id,
        min(changed_on) as changed_on
    from customer_lines
    group by 1, 2

),

-- What changes in the histories of customers, and on which day: lines, orders, and that somebody
-- asks, which changes nothing.
customer_changes as (

    {{ changes_of_lines('customer_lines', 'customer_id, ' ~ item_keys, customer_measures) }}

    union all

    select
        customer_id,
        null as product_id,
        null as category,
        {%- for attribute in rated %}
        null as {{ attribute }},
        {%- endfor %}
        changed_on,
        {{- return_changes(customer_measures, {'order_count': 1}) }}
    from first_order_days

    union all

    select
        customer_id,
        {{ item_keys }},
        ordered_on as changed_on,
        {{- return_changes(customer_measures) }}
    from new_lines
    where {{ only_asks }}

),
{%- if is_incremental() %}

asked as (

    select min(ordered_on) as first_day from new_lines

),
{%- endif %}

-- Of items everybody's lines count.
item_lines as (

    select
        {{ item_keys }},
        order_lines.unit_price,
        {{ add_days('order_lines.as_of_date', -1) }} as changed_on,
        order_lines.label,
        order_lines.label_known_at,
        order_lines.returned_known_on
    from {{ ref('int_line_outcomes') }} as order_lines
    inner join newest on order_lines.as_of_date <= newest.as_of_date
    {%- if is_incremental() %}
    inner join asked on {{ changed_from('order_lines', 'asked.first_day') }}
    {%- endif %}
    where order_lines.horizon_days = {{ var('return_window_days') }}

),

dated_item_changes as (

    {{ changes_of_lines('item_lines', item_keys, item_measures) }}

),

item_changes as (

    {%- if is_incremental() %}

    -- all that came before the first day asked about, in one row
    select
        {{ item_keys }},
        {{ add_days('asked.first_day', -1) }} as changed_on,
        {{- return_changes_before('asked.first_day') }}
    from {{ ref('int_line_outcomes') }} as order_lines
    cross join asked
    where order_lines.horizon_days = {{ var('return_window_days') }}
    group by asked.first_day, {{ item_keys }}

    union all

    {% endif %}

    select * from dated_item_changes
    {%- if is_incremental() %}
    where changed_on >= (select asked.first_day from asked)
    {%- endif %}

    union all

    select
        {{ item_keys }},
        ordered_on as changed_on,
        {{- return_changes(item_measures) }}
    from new_lines
    where {{ only_asks }}

),

shop_history as (

    {{ known_before_each_day('item_changes', [], ['settled', 'returned']) }}

),
{%- for name, columns in histories.items() %}

{{ name }}_history as (

    {{ known_before_each_day(
        'customer_changes' if 'customer_id' in columns else 'item_changes', columns,
        customer_measures if name == 'customer' else item_measures, dated='sold',
    ) }}

),
{%- endfor %}

-- The order's own lines count as far as they are known at the line's first midnight.
basket_changes as (

    select
        order_id,
        {{ item_keys }},
        {{ add_days('as_of_date', -1) }} as changed_on,
        1 as line_count,
        quantity,
        net_amount
    from {{ ref('int_lines_at_order') }}
    where order_id in (select new_lines.order_id from new_lines)

    union all

    select
        order_id,
        {{ item_keys }},
        as_of_date as changed_on,
        0 as line_count,
        0 as quantity,
        0 as net_amount
    from new_lines

),
{%- for name, columns in baskets.items() %}

{{ name }}_basket as (

    {{ known_before_each_day('basket_changes', columns, ['line_count', 'quantity', 'net_amount']) }}

),
{%- endfor %}

lines_with_history as (

    select
        new_lines.*,
        {%- for attribute in attributes %}
        {{ attribute.sql }} as feature_{{ loop.index }},
        {%- endfor %}
        {%- for name in histories %}
        {{ name }}_history.line_count as {{ name }}_lines,
        {{ name }}_history.unit_price as {{ name }}_prices,
        {{ name }}_history.settled as {{ name }}_settled,
        {{ name }}_history.returned as {{ name }}_returned,
        {{ name }}_history.unsettled_returns as {{ name }}_unsettled_returns,
        {{ name }}_history.first_sold_on as {{ name }}_first_on,
        {{ name }}_history.last_sold_on as {{ name }}_last_on,
        {%- endfor %}
        customer_history.order_count as customer_orders,
        customer_history.net_amount as customer_amount,
        {%- for name, columns in baskets.items() %}
        {{ name }}_basket.line_count as {{ name }}_lines,
        {{ name }}_basket.quantity as {{ name }}_quantity,
        {{ name }}_basket.net_amount as {{ name }}_amount,
        {%- endfor %}
        {{ smoothed_rate('shop_history.returned', 'shop_history.settled', '0.1', 20) }} as shop_rate
    from new_lines
    left join shop_history on new_lines.ordered_on = shop_history.changed_on
    {%- for name, columns in histories.items() %}
    left join {{ name }}_history
        on
            new_lines.ordered_on = {{ name }}_history.changed_on
            {%- for column in columns %}
            and new_lines.{{ column }} = {{ name }}_history.{{ column }}
            {%- endfor %}
    {%- endfor %}
    {%- for name, columns in baskets.items() %}
    left join {{ name }}_basket
        on
            new_lines.as_of_date = {{ name }}_basket.changed_on
            {%- for column in columns %}
            and new_lines.{{ column }} = {{ name }}_basket.{{ column }}
            {%- endfor %}
    {%- endfor %}

),

-- Each rate is drawn to that of what it is a part of: a new product to its category's.
single_rates as (

    select
        *,
        {{ smoothed_rate('customer_returned', 'customer_settled', 'shop_rate', 20) }}
            as customer_rate,
        {%- for attribute in rated %}
        {{ smoothed_rate(
            'value_' ~ loop.index ~ '_returned', 'value_' ~ loop.index ~ '_settled', 'shop_rate', 50
        ) }} as value_{{ loop.index }}_rate,
        {%- endfor %}
        {{ smoothed_rate('category_returned', 'category_settled', 'shop_rate', 50) }}
            as category_rate
    from lines_with_history

),

product_rates as (

    select
        *,
        {{ smoothed_rate(
            'product_returned', 'product_settled', 'coalesce(category_rate, shop_rate)', 20
        ) }} as product_rate
    from single_rates

),

final as (

    select
        line_key,
        as_of_date,
        customer_or_order_id,
        order_id,
        line_id,
        customer_id,
        product_id,
        ordered_at,
        ordered_on,

        -- the line and its order
        cast(quantity as {{ type_double() }}) as basket_line_quantity,
        cast(unit_price as {{ type_double() }}) as basket_line_unit_price,
        cast(discount as {{ type_double() }}) as basket_line_discount_share,
        cast(net_amount as {{ type_double() }}) as basket_line_value,
        cast(order_lines as integer) as basket_lines,
        cast(order_quantity as {{ type_double() }}) as basket_units,
        cast(order_amount as {{ type_double() }}) as basket_value,
        {{ ratio('net_amount', 'order_amount') }} as basket_line_share_of_value,
        cast(order_product_lines as integer) as basket_lines_of_product,
        cast(order_category_lines as integer) as basket_lines_of_category,
        case when customer_id is null then 1 else 0 end as basket_is_guest,

        -- the customer before the order
        cast(customer_orders as integer) as frequency_orders_total,
        cast(customer_lines as integer) as frequency_lines_total,
        {{ ratio('customer_lines', 'customer_orders') }} as frequency_lines_per_order,
        cast(customer_amount as {{ type_double() }}) as monetary_spend_total,
        {{ ratio('unit_price * customer_lines', 'customer_prices') }}
            as monetary_price_over_customer_mean,
        {{ days_between('customer_last_on', 'ordered_on') }} as recency_days,
        {{ days_between('customer_first_on', 'ordered_on') }} as recency_tenure_days,
        cast(customer_settled as integer) as return_customer_settled_lines,
        cast(customer_returned as integer) as return_customer_returned_lines,
        cast(customer_unsettled_returns as integer) as return_customer_unsettled_returns,
        cast(customer_rate as {{ type_double() }}) as return_customer_rate,

        -- the product before the order
        cast(product_lines as integer) as product_lines_total,
        {{ days_between('product_first_on', 'ordered_on') }} as product_age_days,
        {{ ratio('unit_price * product_lines', 'product_prices') }} as product_price_over_mean,
        cast(customer_product_lines as integer) as product_lines_of_customer,
        cast(product_settled as integer) as return_product_settled_lines,
        cast(product_unsettled_returns as integer) as return_product_unsettled_returns,
        cast(product_rate as {{ type_double() }}) as return_product_rate,
        cast({{ smoothed_rate(
            'customer_product_returned', 'customer_product_settled', 'customer_rate', 5
        ) }} as {{ type_double() }}) as return_customer_product_rate,

        -- the category before the order
        category as category_name,
        {{ ratio('unit_price * category_lines', 'category_prices') }} as category_price_over_mean,
        cast(customer_category_lines as integer) as category_lines_of_customer,
        cast(category_rate as {{ type_double() }}) as return_category_rate,
        cast({{ smoothed_rate(
            'customer_category_returned', 'customer_category_settled', 'customer_rate', 10
        ) }} as {{ type_double() }}) as return_customer_category_rate,
        cast(shop_rate as {{ type_double() }}) as return_shop_rate,

        -- attributes named at load
        {%- for attribute in attributes %}
        feature_{{ loop.index }} as {{ attribute.name }},
        {%- endfor %}
        {%- for attribute in rated %}
        cast(value_{{ loop.index }}_rate as {{ type_double() }}) as {{ attribute[:46] }}_rate,
        {%- if attribute.startswith('attribute_line_') %}
        cast(order_product_lines - order_value_{{ loop.index }}_lines as integer)
            as {{ attribute[:46] }}_others_in_basket,
        {{ ratio('customer_value_' ~ loop.index ~ '_lines', 'customer_lines') }}
            as {{ attribute[:46] }}_share_of_customer,
        cast({{ smoothed_rate(
            'product_value_' ~ loop.index ~ '_returned', 'product_value_' ~ loop.index ~ '_settled',
            'product_rate', 10
        ) }} as {{ type_double() }}) as {{ attribute[:46] }}_in_product_rate,
        cast({{ smoothed_rate(
            'category_value_' ~ loop.index ~ '_returned', 'category_value_' ~ loop.index ~ '_settled',
            'value_' ~ loop.index ~ '_rate', 20
        ) }} as {{ type_double() }}) as {{ attribute[:46] }}_in_category_rate,
        {%- endif %}
        {%- endfor %}

        -- season
        {{ month_of('ordered_on') }} as season_order_month,
        {{ iso_weekday('ordered_on') }} as season_order_weekday
    from product_rates

)

select * from final
