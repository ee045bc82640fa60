{{ config(materialized=grows_by_load(), unique_key='customer_id') }}

with order_lines as (

    select
        customer_id,
        product_id,
        category,
        ordered_on,
        greatest(known_on, ordered_on) as known_on,
        superseded_on,
        quantity
    from {{ ref('int_order_lines') }}
    where
        customer_id is not null
        and {{ of_changed('customer') }}
        and {{ in_portion('customers') }}

),

lines_of_items as (

    select
        customer_id,
        'product' as item_level,
        product_id as item_id,
        ordered_on,
        known_on,
        superseded_on,
        quantity
    from order_lines

    union all

    select
        customer_id,
        'category' as item_level,
        category as item_id,
        ordered_on,
        known_on,
        superseded_on,
        quantity
    from order_lines

),

final as (

    select
        customer_id,
        item_level,
        item_id,
        ordered_on,
        known_on,
        superseded_on,
        cast(count(*) as integer) as line_count,
        cast(sum(quantity) as {{ type_double() }}) as quantity
    from lines_of_items
    where
        item_id is not null
        and (superseded_on is null or superseded_on > known_on)
    group by customer_id, item_level, item_id, ordered_on, known_on, superseded_on

)

select * from final
