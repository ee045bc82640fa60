-- If this fails, units that customers sent back were lost in matching returns with purchases, or
-- taken back twice, and the return shares are wrong. Only the first version of a row takes part in
-- matching: a later correction moves no match of the past.
with shop_lines as (

    select * from {{ ref_shop('order_lines') }}

),

returns as (

    select * from shop_lines
    where quantity < 0

),

versions as (

    select
        line_key,
        quantity,
        row_number() over (
            partition by line_key order by known_at asc, load_id desc, row_number desc
        ) as version_number
    from shop_lines
    where line_key in (select returns.line_key from returns)

),

sent_back as (

    select
        line_key as return_key,
        -quantity as quantity
    from versions
    where version_number = 1 and quantity < 0

),

accounted as (

    select
        return_key,
        sum(quantity) as quantity
    from {{ ref('int_return_matches') }}
    group by return_key

)

select
    coalesce(sent_back.return_key, accounted.return_key) as return_key,
    sent_back.quantity as sent_back,
    accounted.quantity as accounted
from sent_back
full outer join accounted on sent_back.return_key = accounted.return_key
where sent_back.quantity is distinct from accounted.quantity
