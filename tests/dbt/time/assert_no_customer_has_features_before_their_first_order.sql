-- If this fails, a feature row knows a customer who had not ordered yet, or whose order nobody had
-- written down yet, at its as-of date: the future leaks into what models learn from.
with first_orders as (

    select
        customer_id,
        min(greatest(ordered_on, known_on)) as known_on
    from {{ ref('int_orders') }}
    where customer_id is not null
    group by 1

)

select
    features.customer_id,
    features.as_of_date,
    first_orders.known_on as first_order_known_on
from {{ ref('feat_order_habit') }} as features
left join first_orders on features.customer_id = first_orders.customer_id
where first_orders.known_on is null or first_orders.known_on >= features.as_of_date
