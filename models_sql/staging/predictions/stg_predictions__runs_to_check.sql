with runs as (

    select * from {{ source('predictions', 'runs') }}

),

events as (

    select * from {{ source('predictions', 'run_events') }}
    where run_id is not null

),

newest_events_of_runs as (

    select
        run_id,
        max(event_number) as event_number
    from events
    group by 1

),

newest_checks_of_predictions as (

    select
        prediction,
        max(event_number) as event_number
    from events
    where event = 'checking'
    group by 1

),

final as (

    select
        runs.run_id,
        runs.prediction,
        runs.as_of_date,
        runs.horizon_days,
        runs.row_count,
        runs.created_at
    from newest_checks_of_predictions
    -- a check that ended, well or not, is no longer the newest event of its run
    inner join newest_events_of_runs
        on newest_checks_of_predictions.event_number = newest_events_of_runs.event_number
    inner join runs on newest_events_of_runs.run_id = runs.run_id

)

select * from final
