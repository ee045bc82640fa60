-- If this fails, units that customers sent back were lost in matching returns with purchases, or
-- taken back twice, and the return shares are wrong. Only the first version of a row takes part in
-- matching: a later correction moves no match of the past.
with shop_lines as (

    select * from {{ ref_shop('order_lines') }}

),

first_versions as (

    select
        line_key,
        min(known_at) as known_at
    from shop_lines
    group by 1

),

sent_back as (

    select
        shop_lines.line_key as return_key,
        -sum(shop_lines.quantity) as quantity
    from shop_lines
    inner join first_versions
        on
            shop_lines.line_key = first_versions.line_key
            and shop_lines.known_at = first_versions.known_at
    where shop_lines.quantity < 0
    group by 1

),

accounted as (

    select
        return_key,
        sum(quantity) as quantity
    from {{ ref('int_return_matches') }}
    group by 1

)

select
    coalesce(sent_back.return_key, accounted.return_key) as return_key,
    sent_back.quantity as sent_back,
    accounted.quantity as accounted
from sent_back
full outer join accounted on sent_back.return_key = accounted.return_key
where sent_back.quantity is distinct from accounted.quantity
