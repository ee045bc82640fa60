-- If this fails, order lines count as "kept" that may still come back: the newest outcomes, and the
-- rates learned from them, are too low.
select
    outcomes.line_key,
    outcomes.horizon_days,
    outcomes.label_known_at,
    data_window.newest_on
from {{ ref('int_line_outcomes') }} as outcomes
cross join {{ ref('int_data_window') }} as data_window
where
    outcomes.label = 0
    and outcomes.is_dated
    and outcomes.label_known_at > {{ add_days('data_window.newest_on', 1) }}
