{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'northwind')) }}

with order_details as (

    select * from {{ source('northwind', 'order_details') }}

),

loads as (

    {{ loads_of('order_details') }}

),

-- A line has no time of its own: it happened when its order did.
order_times as (

    select
        order_id,
        min(ordered_at) as ordered_at
    from {{ ref('stg_northwind__orders') }}
    group by 1

),

renamed as (

    select
        order_details._load_id as load_id,
        {{ raw_row_number('order_details') }} as row_number,
        order_details.order_id,
        order_details.product_id,
        cast(order_details.quantity as {{ type_amount() }}) as quantity,
        cast(order_details.unit_price as {{ type_amount() }}) as unit_price,
        cast(coalesce(order_details.discount, 0) as {{ type_amount() }}) as discount,
        order_details._is_gone as is_gone,
        order_times.order_id is not null as has_order,
        {{ known_at('cast(null as timestamp)', 'order_times.ordered_at', 'loads') }} as known_at
    from order_details
    inner join loads on order_details._load_id = loads.load_id
    left join order_times on order_details.order_id = order_times.order_id

),

versions as (

    select
        *,
        {{ superseded_at(['order_id', 'product_id']) }} as superseded_at
    from renamed

),

final as (

    select
        versions.*,
        case
            when not versions.has_order then 'no_order'
            when versions.is_gone then 'gone'
            when not {{ stood('versions') }} then 'repeated'
            when versions.quantity > 0 then 'order_line'
            when versions.quantity < 0 then 'return'
            else 'no_quantity'
        end as fate
    from versions

)

select * from final
