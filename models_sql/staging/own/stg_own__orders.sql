{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'own')) }}

with orders as (

    select * from {{ source('own', 'orders') }}

),

loads as (

    {{ loads_of('orders') }}

),

renamed as (

    select
        orders._load_id as load_id,
        {{ raw_row_number('orders') }} as row_number,
        orders.order_id,
        orders.customer_id,
        orders.ordered_at,
        (
            orders._is_gone
            -- what your shop calls orders that are none
            or lower(coalesce(orders.status, '')) in ('cancelled', 'canceled', 'draft', 'failed')
        ) as is_cancelled,
        {{ known_at('cast(null as timestamp)', 'orders.ordered_at', 'loads') }} as known_at
    from orders
    inner join loads on orders._load_id = loads.load_id

),

final as (

    select
        *,
        {{ superseded_at(['order_id']) }} as superseded_at
    from renamed

)

select * from final
