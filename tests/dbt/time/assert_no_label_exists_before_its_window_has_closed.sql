-- If this fails, customers count as "did not order" whose time to order is not over: the newest
-- labels, and the rates learned from them, are too low.
select
    labels.as_of_date,
    labels.horizon_days,
    labels.label_known_at,
    data_window.newest_on,
    count(*) as row_count
from {{ ref('label_order_habit') }} as labels
cross join {{ ref('int_data_window') }} as data_window
where
    labels.label_known_at > {{ add_days('data_window.newest_on', 1) }}
    or labels.label_known_at <= {{ add_days('labels.as_of_date', 'labels.horizon_days') }}
group by
    labels.as_of_date,
    labels.horizon_days,
    labels.label_known_at,
    data_window.newest_on
