-- A score would be judged by a window that is still open: no where a yes may come.
with outcomes as (

    select settled.* from {{ ref('prediction_outcomes_rows') }} as settled
    where
        settled.settled_at
        = (select max(newest.settled_at) from {{ ref('prediction_outcomes_rows') }} as newest)

),

data_window as (

    select {{ add_days('newest_on', 1) }} as closed_until
    from {{ ref('int_data_window') }}

)

select
    outcomes.run_id,
    outcomes.label_known_at
from outcomes
cross join data_window
where
    outcomes.label_known_at > data_window.closed_until
    or outcomes.label_known_at <= outcomes.as_of_date
