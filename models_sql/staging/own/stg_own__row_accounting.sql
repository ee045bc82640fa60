{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'own')) }}

with order_items as (

    select * from {{ ref('stg_own__order_items') }}

),

refunds as (

    select * from {{ ref('stg_own__refunds') }}

),

gone_refunds as (

    select * from {{ source('own', 'refunds') }}
    where _is_gone

),

rows_with_fate as (

    select
        fate,
        quantity * unit_price as amount
    from order_items

    union all

    -- a refund has no price of its own
    select
        fate,
        0 as amount
    from refunds

    union all

    select
        'gone' as fate,
        0 as amount
    from gone_refunds

),

final as (

    select
        fate,
        count(*) as row_count,
        sum(amount) as amount
    from rows_with_fate
    group by 1

)

select * from final
