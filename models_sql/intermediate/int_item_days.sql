{{ config(materialized=grows_by_load(), unique_key=['ordered_on', 'known_on']) }}

with order_lines as (

    select
        product_id,
        category,
        ordered_on,
        greatest(known_on, ordered_on) as known_on,
        superseded_on,
        quantity,
        gross_amount,
        net_amount
    from {{ ref('int_order_lines') }}

),

customer_items as (

    select
        *,
        known_on as ordered_on
    from {{ ref('int_customer_items') }}

),

{{ touched_days_of(['order_lines', 'customer_items']) }}

sales_of_levels as (

    select
        grouping(product_id) as is_of_category,
        product_id,
        category,
        ordered_on,
        known_on,
        superseded_on,
        count(*) as line_count,
        sum(quantity) as quantity,
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount
    from order_lines
    where
        (superseded_on is null or superseded_on > known_on)
        and {{ of_touched_day() }}
    group by grouping sets (
        (product_id, ordered_on, known_on, superseded_on),
        (category, ordered_on, known_on, superseded_on)
    )

),

sales as (

    select
        case when is_of_category = 1 then 'category' else 'product' end as item_level,
        case when is_of_category = 1 then category else product_id end as item_id,
        ordered_on,
        known_on,
        superseded_on,
        line_count,
        0 as new_buyer_count,
        quantity,
        gross_amount,
        net_amount
    from sales_of_levels
    where coalesce(product_id, category) is not null

),

-- A customer is new to an item on the day on which their first purchase of it was known.
first_purchases as (

    select
        item_level,
        item_id,
        ordered_on,
        known_on,
        superseded_on,
        0 as line_count,
        count(*) as new_buyer_count,
        0 as quantity,
        0 as gross_amount,
        0 as net_amount
    from customer_items
    where {{ of_touched_day() }}
    group by item_level, item_id, ordered_on, known_on, superseded_on

),

days as (

    select * from sales
    union all
    select * from first_purchases

),

final as (

    select
        item_level,
        item_id,
        ordered_on,
        known_on,
        superseded_on,
        cast(sum(line_count) as integer) as line_count,
        cast(sum(new_buyer_count) as integer) as new_buyer_count,
        cast(sum(quantity) as {{ type_double() }}) as quantity,
        cast(sum(gross_amount) as {{ type_double() }}) as gross_amount,
        cast(sum(net_amount) as {{ type_double() }}) as net_amount
    from days
    group by item_level, item_id, ordered_on, known_on, superseded_on

)

select * from final
