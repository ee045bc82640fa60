-- If this fails, more units of a purchase came back than were bought: a match was made twice, and
-- return shares above 1 reach the features.
with purchases as (

    select
        line_key,
        max(quantity) as quantity
    from {{ ref_shop('order_lines') }}
    where quantity > 0
    group by 1

),

taken_back as (

    select
        line_key,
        sum(quantity) as quantity
    from {{ ref('int_return_matches') }}
    where is_matched
    group by 1

)

select
    taken_back.line_key,
    purchases.quantity as bought,
    taken_back.quantity as taken_back
from taken_back
left join purchases on taken_back.line_key = purchases.line_key
where purchases.quantity is null or taken_back.quantity > purchases.quantity
