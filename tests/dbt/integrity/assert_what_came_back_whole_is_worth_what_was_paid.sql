-- If this fails, returned units are not valued at the price they were bought for: a discount was
-- forgotten, or the price of the return was taken, and the value shares of returns are wrong.
with taken_back as (

    select
        line_key,
        sum(quantity) as quantity,
        sum(amount) as amount
    from {{ ref('int_return_matches') }}
    where is_matched
    group by 1

),

shop_lines as (

    select shop_lines.*
    from {{ ref_shop('order_lines') }} as shop_lines
    inner join taken_back on shop_lines.line_key = taken_back.line_key

),

first_known as (

    select
        line_key,
        min(known_at) as known_at
    from shop_lines
    group by 1

),

purchases as (

    select
        shop_lines.line_key,
        shop_lines.quantity,
        shop_lines.quantity * shop_lines.unit_price * (1 - shop_lines.discount) as paid
    from shop_lines
    inner join first_known
        on
            shop_lines.line_key = first_known.line_key
            and shop_lines.known_at = first_known.known_at

)

select
    purchases.line_key,
    purchases.paid,
    taken_back.amount as taken_back
from purchases
inner join taken_back
    on
        purchases.line_key = taken_back.line_key
        and purchases.quantity = taken_back.quantity
-- paid amounts are rounded to four decimals
where abs(purchases.paid - taken_back.amount) > 1e-4 + 1e-6 * abs(purchases.paid)
