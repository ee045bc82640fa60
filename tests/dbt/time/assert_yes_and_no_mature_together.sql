-- If this fails, customers of one as-of date and horizon got their outcome at different instants:
-- the early rows of a date are then all of one kind.
select
    as_of_date,
    horizon_days,
    count(distinct label_known_at) as instants
from {{ ref('label_order_habit') }}
group by as_of_date, horizon_days
having count(distinct label_known_at) > 1
