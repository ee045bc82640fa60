-- If this fails, pairs were lost or doubled between scoring and what BI reads. It runs before
-- the publish event is written, on the runs that may still be published.
with runs_to_check as (

    select * from {{ ref('stg_predictions__runs_to_check') }}
    where prediction = 'purchase_potential'

),

mart_rows as (

    select
        run_id,
        count(*) as row_count
    from {{ ref('purchase_potential_rows') }}
    where run_id in (select runs_to_check.run_id from runs_to_check)
    group by 1

)

select
    runs_to_check.run_id,
    runs_to_check.row_count as announced_rows,
    mart_rows.row_count as mart_rows
from runs_to_check
left join mart_rows on runs_to_check.run_id = mart_rows.run_id
where coalesce(mart_rows.row_count, 0) <> runs_to_check.row_count
