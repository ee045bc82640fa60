with events as (

    select * from {{ source('predictions', 'run_events') }}
    where event in ('published', 'rolled_back')

),

runs as (

    select * from {{ source('predictions', 'runs') }}

),

newest_events as (

    select
        prediction,
        max(event_number) as event_number
    from events
    group by 1

),

final as (

    select
        runs.run_id,
        runs.prediction,
        runs.as_of_date,
        runs.horizon_days,
        runs.bundle_id,
        runs.recipe,
        runs.row_count,
        events.happened_at as in_force_since,
        {{ json_text('runs.detail', 'calibration_note') }} as calibration_note,
        {{ json_text('runs.detail', 'warning') }} as warning
    from newest_events
    inner join events on newest_events.event_number = events.event_number
    inner join runs on events.run_id = runs.run_id

)

select * from final
