-- If this fails, rows of order details got lost on the way to the shop model, or were counted
-- twice, without anything saying why. Amounts are taken as the staging models take them, with four
-- decimals.
{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'northwind')) }}

with raw_rows as (

    select
        count(*) as row_count,
        sum(
            cast(quantity as {{ type_amount() }}) * cast(unit_price as {{ type_amount() }})
        ) as amount,
        sum(abs(quantity * unit_price)) as turnover
    from {{ source('northwind', 'order_details') }}

),

fates as (

    select
        sum(row_count) as row_count,
        sum(amount) as amount
    from {{ ref('int_row_accounting') }}

)

select
    raw_rows.row_count as raw_rows,
    fates.row_count as accounted_rows,
    raw_rows.amount as raw_amount,
    fates.amount as accounted_amount
from raw_rows
cross join fates
where
    raw_rows.row_count <> coalesce(fates.row_count, 0)
    or abs(raw_rows.amount - coalesce(fates.amount, 0)) > 1e-6 * raw_rows.turnover
