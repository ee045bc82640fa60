{{ config(materialized=grows_by_load(), unique_key='customer_id') }}

with customer_lines as (

    select
        customer_id,
        product_id,
        ordered_on,
        greatest(known_on, ordered_on) as known_on,
        superseded_on,
        ln(1 + cast(unit_price as {{ type_double() }})) as log_price,
        ln(1 + cast(quantity as {{ type_double() }})) as log_quantity
    from {{ ref('int_order_lines') }}
    where product_id is not null and customer_id is not null and {{ of_changed('customer') }}

),

item_days as (

    select * from {{ ref('int_item_days') }}
    where item_level = 'product' and line_count > 0

),

-- How long a product had been sold and how often, by what was known on each day.
products_so_far as (

    select
        item_id as product_id,
        known_on,
        min(min(ordered_on)) over so_far as first_ordered_on,
        sum(sum(line_count)) over so_far as line_count
    from item_days
    group by item_id, known_on
    window so_far as (partition by item_id order by known_on)

),

lines_in_their_time as (

    select
        customer_lines.customer_id,
        customer_lines.known_on,
        customer_lines.superseded_on,
        customer_lines.log_price,
        customer_lines.log_price * customer_lines.log_price as log_price_squared,
        customer_lines.log_quantity,
        {{ days_between('products_so_far.first_ordered_on', 'customer_lines.ordered_on') }}
            as age_days,
        ln(cast(products_so_far.line_count as {{ type_double() }})) as log_popularity
    from customer_lines
    inner join products_so_far
        on
            customer_lines.product_id = products_so_far.product_id
            and customer_lines.known_on = products_so_far.known_on
    where
        customer_lines.superseded_on is null
        or customer_lines.superseded_on > customer_lines.known_on

),

changes as (

    select
        customer_id,
        known_on as changed_on,
        1 as line_change,
        log_price,
        log_price_squared,
        log_quantity,
        age_days,
        log_popularity
    from lines_in_their_time

    union all

    select
        customer_id,
        superseded_on as changed_on,
        -1 as line_change,
        -log_price as log_price,
        -log_price_squared as log_price_squared,
        -log_quantity as log_quantity,
        -age_days as age_days,
        -log_popularity as log_popularity
    from lines_in_their_time
    where superseded_on is not null

),

final as (

    select
        customer_id,
        changed_on,
        cast(sum(line_change) as integer) as line_change,
        sum(log_price) as log_price_change,
        sum(log_price_squared) as log_price_squared_change,
        sum(log_quantity) as log_quantity_change,
        cast(sum(age_days) as bigint) as age_days_change,
        sum(log_popularity) as log_popularity_change
    from changes
    group by customer_id, changed_on

)

select * from final
