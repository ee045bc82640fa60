-- Figures would speak of other rows than the outcomes do: settled twice, or only in part.
with outcomes as (

    select
        settled.run_id,
        settled.score_kind,
        count(*) as row_count,
        sum(settled.label) as realised_count
    from {{ ref('prediction_outcomes_rows') }} as settled
    where
        settled.settled_at
        = (select max(newest.settled_at) from {{ ref('prediction_outcomes_rows') }} as newest)
    group by 1, 2

),

performance as (

    select * from {{ ref('performance_rows') }}
    where segment_kind = 'all'

)

select
    outcomes.run_id,
    outcomes.score_kind
from outcomes
left join performance
    on
        outcomes.run_id = performance.run_id
        and outcomes.score_kind = performance.score_kind
where
    performance.run_id is null
    or outcomes.row_count <> performance.row_count
    or outcomes.realised_count <> performance.realised_count
