{%- set loads = loads_new_to_any() %}

with shop_lines as (

    select
        line_key,
        customer_id,
        case when customer_id is null then order_id end as order_id,
        cast(known_at as date) as known_on,
        cast(greatest(known_at, ordered_at) as date) as counts_from,
        load_id
    from {{ ref_shop('order_lines') }}

),

new_rows as (

    select * from shop_lines
    where {{ in_loads('load_id', loads) }}

),

-- What a row says of its product and its customer counts for all rows from that day on.
since as (

    select min(known_on) as known_on from new_rows

),

final as (

    select
        shop_lines.customer_id,
        shop_lines.order_id
    from shop_lines
    cross join since
    where shop_lines.counts_from >= since.known_on

    union

    -- a line that is corrected may change hands
    select
        customer_id,
        order_id
    from shop_lines
    where line_key in (select new_rows.line_key from new_rows)

)

select * from final
