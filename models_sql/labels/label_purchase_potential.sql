{{ config(indexes=[{'columns': ['as_of_date', 'customer_id']}]) }}

with label_windows as (

    {{ missing_label_windows('purchase_potential') }}

),

interactions as (

    select * from {{ ref('int_interactions') }}

),

customer_items as (

    select * from {{ ref('int_customer_items') }}

),

product_versions as (

    select * from {{ ref('int_products') }}

),

known_products as (

    select
        label_windows.as_of_date,
        label_windows.horizon_days,
        product_versions.product_id,
        product_versions.category
    from label_windows
    inner join product_versions
        on {{ version_known_before('product_versions', 'label_windows.as_of_date') }}

),

known_items as (

    select
        as_of_date,
        horizon_days,
        'product' as item_level,
        product_id as item_id
    from known_products

    union

    select
        as_of_date,
        horizon_days,
        'category' as item_level,
        category as item_id
    from known_products
    where category is not null

),

purchases as (

    select distinct
        interactions.customer_id,
        interactions.item_level,
        interactions.item_id,
        label_windows.as_of_date,
        label_windows.horizon_days,
        label_windows.label_known_at
    from label_windows
    inner join interactions
        on {{ in_label_window(
            'interactions', 'label_windows.as_of_date', 'label_windows.horizon_days'
        ) }}

),

-- Customers are known while any of their purchases is.
customer_changes as (

    {{ presence_changes('customer_items', ['customer_id']) }}

),

customer_spells as (

    select
        customer_id,
        presence_change,
        changed_on as known_on,
        lead(changed_on) over (partition by customer_id order by changed_on) as superseded_on
    from customer_changes

),

final as (

    select
        purchases.customer_id,
        purchases.item_level,
        purchases.item_id,
        purchases.as_of_date,
        purchases.horizon_days,
        1 as label,
        purchases.label_known_at
    from purchases
    inner join known_items
        on
            purchases.as_of_date = known_items.as_of_date
            and purchases.horizon_days = known_items.horizon_days
            and purchases.item_level = known_items.item_level
            and purchases.item_id = known_items.item_id
    inner join customer_spells
        on
            purchases.customer_id = customer_spells.customer_id
            and customer_spells.presence_change = 1
            and {{ version_known_before('customer_spells', 'purchases.as_of_date') }}
    -- what they had bought before; spells of one item do not overlap
    left join customer_items
        on
            purchases.customer_id = customer_items.customer_id
            and purchases.item_level = customer_items.item_level
            and purchases.item_id = customer_items.item_id
            and {{ version_known_before('customer_items', 'purchases.as_of_date') }}
    where customer_items.customer_id is null

)

select * from final
