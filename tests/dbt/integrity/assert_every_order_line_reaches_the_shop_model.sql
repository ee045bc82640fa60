-- If this fails, order lines of the source are missing from the shop model, or a join has doubled
-- some: every count and every sum of the features is then wrong.
with staged_lines as (

    select
        load_id,
        count(*) as line_count,
        sum(quantity) as quantity
    from {{ ref_shop('order_lines') }}
    where quantity > 0
    group by 1

),

shop_lines as (

    select
        load_id,
        count(*) as line_count,
        sum(quantity) as quantity
    from {{ ref('int_order_lines') }}
    group by 1

)

select
    staged_lines.load_id,
    staged_lines.line_count as staged_lines,
    shop_lines.line_count as shop_lines
from staged_lines
full outer join shop_lines on staged_lines.load_id = shop_lines.load_id
where
    staged_lines.line_count is distinct from shop_lines.line_count
    or staged_lines.quantity is distinct from shop_lines.quantity
