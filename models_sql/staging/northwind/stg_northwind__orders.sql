{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'northwind')) }}

with orders as (

    select * from {{ source('northwind', 'orders') }}

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
        orders.order_date as ordered_at,
        orders._is_gone as is_gone,
        {{ known_at('cast(null as timestamp)', 'orders.order_date', 'loads') }} as known_at
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
