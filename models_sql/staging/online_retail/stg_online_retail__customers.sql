{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'online_retail')) }}

{%- set attributes = columns_like(ref('stg_online_retail__order_lines'), 'attribute_customer_') %}

with order_lines as (

    select * from {{ ref('stg_online_retail__order_lines') }}

),

final as (

    select
        customer_id,
        {%- for attribute in attributes %}
        {{ attribute }},
        {%- endfor %}
        -- what a line that was recorded ahead of its time says counts from when it happens
        greatest(known_at, ordered_at) as known_at
    from order_lines
    where customer_id is not null

)

select * from final
