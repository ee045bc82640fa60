{{ config(
    materialized='table',
    enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'online_retail'),
) }}

with distinct_rows as (

    select * from {{ ref('stg_online_retail__rows') }}

),

final as (

    select
        load_id,
        row_number,
        order_id || '|' || product_id || '|' || cast(
            row_number() over (partition by load_id, order_id, product_id order by row_number)
            as {{ dbt.type_string() }}
        ) as line_key,
        order_id,
        cast(null as {{ dbt.type_string() }}) as line_id,
        customer_id,
        product_id,
        product_name,
        cast(null as {{ dbt.type_string() }}) as category,
        attribute_customer_country,
        ordered_at,
        known_at,
        cast(null as integer) as returned,
        cast(null as timestamp) as returned_at,
        quantity,
        unit_price,
        cast(0 as {{ type_amount() }}) as discount
    from distinct_rows
    where fate in ('order_line', 'return')

)

select * from final
