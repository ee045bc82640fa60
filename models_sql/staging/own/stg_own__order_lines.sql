{{ config(
    materialized='table',
    enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'own'),
) }}

with refunds as (

    select * from {{ ref('stg_own__refunds') }}
    where fate = 'return'

),

orders as (

    select * from {{ ref('stg_own__orders') }}

),

order_items as (

    select * from {{ ref('stg_own__order_items') }}

),

-- A change of the head is a new version of each of its lines.
versions as (

    select
        order_items.order_id || '|' || order_items.line_id as line_key,
        order_items.order_id,
        order_items.line_id,
        order_items.product_id,
        orders.customer_id,
        orders.ordered_at,
        order_items.unit_price,
        order_items.discount,
        greatest(orders.load_id, order_items.load_id) as load_id,
        orders.row_number as head_number,
        order_items.row_number as item_number,
        greatest(orders.known_at, order_items.known_at) as known_at,
        -- a line that is gone from the shop's tables was taken out of its order
        case
            when orders.is_cancelled or order_items.is_gone then cast(0 as {{ type_amount() }})
            else order_items.quantity
        end as quantity
    from order_items
    inner join orders
        on
            order_items.order_id = orders.order_id
            and {{ stood_together('order_items', 'orders') }}

),

-- What a refund takes back, as it was when the refund was known.
returned_lines as (

    select
        refunds.refund_id,
        versions.*,
        refunds.quantity as returned_quantity,
        refunds.refunded_at,
        refunds.load_id as refund_load_id,
        refunds.row_number as refund_number,
        refunds.known_at as refund_known_at,
        row_number() over (
            partition by refunds.refund_id
            order by
                case when versions.known_at <= refunds.known_at then 0 else 1 end,
                case when versions.known_at <= refunds.known_at then versions.known_at end desc,
                versions.known_at
        ) as nearness
    from refunds
    inner join versions
        on
            refunds.order_id = versions.order_id
            and refunds.line_id = versions.line_id

),

purchases_and_returns as (

    select
        load_id,
        line_key,
        order_id,
        line_id,
        customer_id,
        product_id,
        ordered_at,
        known_at,
        quantity,
        unit_price,
        discount,
        0 as kind,
        item_number,
        head_number
    from versions

    union all

    select
        refund_load_id as load_id,
        'refund|' || refund_id as line_key,
        order_id,
        cast(null as {{ dbt.type_string() }}) as line_id,
        customer_id,
        product_id,
        refunded_at as ordered_at,
        refund_known_at as known_at,
        -returned_quantity as quantity,
        unit_price,
        discount,
        1 as kind,
        refund_number as item_number,
        head_number
    from returned_lines
    where nearness = 1

),

final as (

    select
        load_id,
        row_number() over (
            partition by load_id
            order by kind, line_key, known_at, item_number, head_number
        ) as row_number,
        line_key,
        order_id,
        line_id,
        customer_id,
        product_id,
        ordered_at,
        known_at,
        cast(null as integer) as returned,
        cast(null as timestamp) as returned_at,
        cast(quantity as {{ type_amount() }}) as quantity,
        unit_price,
        discount
    from purchases_and_returns

)

select * from final
