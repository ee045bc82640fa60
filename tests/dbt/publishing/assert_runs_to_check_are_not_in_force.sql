-- If this fails, a run that was never published is in force: BI sees rows that no test has seen.
select runs_in_force.run_id
from {{ ref('stg_predictions__runs_in_force') }} as runs_in_force
inner join {{ ref('stg_predictions__runs_to_check') }} as runs_to_check
    on runs_in_force.run_id = runs_to_check.run_id
