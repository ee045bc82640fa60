{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'northwind')) }}

with order_details as (

    select * from {{ ref('stg_northwind__order_details') }}

),

final as (

    select
        fate,
        count(*) as row_count,
        sum(quantity * unit_price) as amount
    from order_details
    group by 1

)

select * from final
