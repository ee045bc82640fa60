{{ config(materialized=grows_by_load(), unique_key='customer_id') }}

with customer_items as (

    select * from {{ ref('int_customer_items') }}
    where {{ of_changed('customer') }}

),

changes as (

    select
        customer_id,
        item_level,
        known_on as changed_on,
        1 as presence_change
    from customer_items

    union all

    select
        customer_id,
        item_level,
        superseded_on as changed_on,
        -1 as presence_change
    from customer_items
    where superseded_on is not null

),

final as (

    select
        customer_id,
        changed_on,
        cast(
            coalesce(sum(presence_change) filter (where item_level = 'product'), 0) as integer
        ) as product_change,
        cast(
            coalesce(sum(presence_change) filter (where item_level = 'category'), 0) as integer
        ) as category_change
    from changes
    group by customer_id, changed_on

)

select * from final
