{{ config(
    materialized='table',
    enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'northwind'),
) }}

with orders as (

    select * from {{ ref('stg_northwind__orders') }}

),

order_details as (

    select * from {{ ref('stg_northwind__order_details') }}

),

-- A change of the head is a new version of each of its lines.
versions as (

    select
        order_details.order_id,
        order_details.product_id,
        orders.customer_id,
        orders.ordered_at,
        order_details.unit_price,
        order_details.discount,
        greatest(orders.load_id, order_details.load_id) as load_id,
        orders.row_number as head_number,
        order_details.row_number as detail_number,
        greatest(orders.known_at, order_details.known_at) as known_at,
        -- a line that is gone from the shop's tables was taken out of its order
        case
            when orders.is_gone or order_details.is_gone then cast(0 as {{ type_amount() }})
            else order_details.quantity
        end as quantity
    from order_details
    inner join orders
        on
            order_details.order_id = orders.order_id
            and {{ stood_together('order_details', 'orders') }}

),

final as (

    select
        load_id,
        row_number() over (
            partition by load_id
            order by order_id, product_id, known_at, detail_number, head_number
        ) as row_number,
        order_id || '|' || product_id as line_key,
        order_id,
        cast(null as {{ dbt.type_string() }}) as line_id,
        customer_id,
        product_id,
        ordered_at,
        known_at,
        cast(null as integer) as returned,
        cast(null as timestamp) as returned_at,
        quantity,
        unit_price,
        discount
    from versions

)

select * from final
