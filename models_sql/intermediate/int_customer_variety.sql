with order_lines as (

    select
        customer_id,
        product_id,
        category,
        -- a line that was recorded ahead of its time counts from when it happens
        greatest(known_on, ordered_on) as known_on,
        superseded_on
    from {{ ref('int_order_lines') }}
    where customer_id is not null

),

product_changes as (

    {{ presence_changes('order_lines', ['customer_id', 'product_id']) }}

),

category_changes as (

    {{ presence_changes('order_lines', ['customer_id', 'category']) }}

),

changes as (

    select
        customer_id,
        changed_on,
        presence_change as product_change,
        0 as category_change
    from product_changes

    union all

    select
        customer_id,
        changed_on,
        0 as product_change,
        presence_change as category_change
    from category_changes

),

final as (

    select
        customer_id,
        changed_on,
        cast(sum(product_change) as integer) as product_change,
        cast(sum(category_change) as integer) as category_change
    from changes
    group by customer_id, changed_on

)

select * from final
