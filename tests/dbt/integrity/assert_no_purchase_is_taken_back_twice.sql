-- If this fails, more units of a purchase came back than were bought: a match was made twice, and
-- return shares above 1 reach the features.
with taken_back as (

    select
        line_key,
        sum(quantity) as quantity
    from {{ ref('int_return_matches') }}
    where is_matched
    group by 1

),

bought as (

    select
        taken_back.line_key,
        -- a correction moves no match of the past: any version may be the one that was matched
        max(shop_lines.quantity) as quantity
    from taken_back
    left join {{ ref_shop('order_lines') }} as shop_lines
        on taken_back.line_key = shop_lines.line_key
    group by 1

)

select
    taken_back.line_key,
    bought.quantity as bought,
    taken_back.quantity as taken_back
from taken_back
left join bought on taken_back.line_key = bought.line_key
where bought.quantity is null or taken_back.quantity > bought.quantity
