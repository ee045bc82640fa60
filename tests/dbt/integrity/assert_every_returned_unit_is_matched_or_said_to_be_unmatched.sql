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

first_versions as (

    select
        line_key,
        min(known_at) as known_at
    from shop_lines
    where line_key in (select returns.line_key from returns)
    group by 1

),

sent_back as (

    select
        returns.line_key as return_key,
        -sum(returns.quantity) as quantity
    from returns
    inner join first_versions
        on
            returns.line_key = first_versions.line_key
            and returns.known_at = first_versions.known_at
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
