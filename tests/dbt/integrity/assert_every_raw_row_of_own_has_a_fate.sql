-- If this fails, captured order lines or refunds got lost on the way to the shop model, or were
-- counted twice, without anything saying why. Refunds have no amount of their own.
{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'own')) }}

with order_items as (

    select
        count(*) as row_count,
        sum(
            cast(quantity as {{ type_amount() }}) * cast(unit_price as {{ type_amount() }})
        ) as amount,
        sum(abs(quantity * unit_price)) as turnover
    from {{ source('own', 'order_items') }}

),

refunds as (

    select count(*) as row_count from {{ source('own', 'refunds') }}

),

fates as (

    select
        sum(row_count) as row_count,
        sum(amount) as amount
    from {{ ref('int_row_accounting') }}

)

select
    order_items.row_count + refunds.row_count as raw_rows,
    fates.row_count as accounted_rows,
    order_items.amount as raw_amount,
    fates.amount as accounted_amount
from order_items
cross join refunds
cross join fates
where
    order_items.row_count + refunds.row_count <> coalesce(fates.row_count, 0)
    or abs(order_items.amount - coalesce(fates.amount, 0)) > 1e-6 * order_items.turnover
