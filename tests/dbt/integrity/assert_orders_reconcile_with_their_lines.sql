-- If this fails, an order's current version does not add up to its current lines: corrections were
-- applied twice or not at all, and spend and order counts are wrong.
with current_lines as (

    select
        order_id,
        customer_id,
        ordered_on,
        count(*) as line_count,
        sum(quantity) as quantity,
        sum(net_amount) as net_amount
    from {{ ref('int_order_lines') }}
    where superseded_on is null
    group by order_id, customer_id, ordered_on

),

current_orders as (

    select * from {{ ref('int_orders') }}
    where superseded_on is null

),

both_sides as (

    select
        order_id,
        customer_id,
        ordered_on,
        line_count,
        quantity,
        net_amount,
        abs(net_amount) as turnover
    from current_lines

    union all

    select
        order_id,
        customer_id,
        ordered_on,
        -line_count as line_count,
        -quantity as quantity,
        -net_amount as net_amount,
        abs(net_amount) as turnover
    from current_orders

)

select
    order_id,
    customer_id,
    ordered_on,
    sum(line_count) as missing_lines,
    sum(quantity) as missing_quantity,
    sum(net_amount) as missing_amount
from both_sides
group by order_id, customer_id, ordered_on
having
    sum(line_count) <> 0
    or abs(sum(quantity)) > 1e-6
    or abs(sum(net_amount)) > 1e-6 * (1 + sum(turnover))
