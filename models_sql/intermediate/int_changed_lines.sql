with shop_lines as (

    select * from {{ ref_shop('order_lines') }}

),

owners as (

    select * from {{ ref('int_changed_owners') }}

),

final as (

    select distinct shop_lines.line_key
    from shop_lines
    inner join owners
        on
            coalesce(shop_lines.customer_id, shop_lines.order_id)
            = coalesce(owners.customer_id, owners.order_id)

)

select * from final
