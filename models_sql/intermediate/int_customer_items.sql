{{ config(materialized=grows_by_load(), unique_key='customer_id') }}

with order_lines as (

    select
        customer_id,
        product_id,
        category,
        -- a line that was recorded ahead of its time counts from when it happens
        greatest(known_on, ordered_on) as known_on,
        superseded_on
    from {{ ref('int_order_lines') }}
    where customer_id is not null and {{ of_changed('customer') }}

),

lines_of_items as (

    select
        customer_id,
        'product' as item_level,
        product_id as item_id,
        known_on,
        superseded_on
    from order_lines
    where superseded_on is null or superseded_on > known_on

    union all

    select
        customer_id,
        'category' as item_level,
        category as item_id,
        known_on,
        superseded_on
    from order_lines
    where superseded_on is null or superseded_on > known_on

),

changes as (

    {{ presence_changes('lines_of_items', ['customer_id', 'item_level', 'item_id']) }}

),

spells as (

    select
        *,
        lead(changed_on) over (
            partition by customer_id, item_level, item_id order by changed_on
        ) as next_changed_on
    from changes

),

final as (

    select
        customer_id,
        item_level,
        item_id,
        changed_on as known_on,
        next_changed_on as superseded_on
    from spells
    where presence_change = 1

)

select * from final
