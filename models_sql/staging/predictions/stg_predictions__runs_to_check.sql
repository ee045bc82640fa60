with runs as (

    select * from {{ source('predictions', 'runs') }}

),

events as (

    select * from {{ source('predictions', 'run_events') }}
    where run_id is not null

),

published_runs as (

    select distinct run_id
    from events
    where event = 'published'

),

newest_events as (

    select
        run_id,
        max(event_number) as event_number
    from events
    group by 1

),

refused_runs as (

    select events.run_id
    from events
    inner join newest_events
        on
            events.run_id = newest_events.run_id
            and events.event_number = newest_events.event_number
    where events.event = 'refused'

),

newest_runs as (

    select
        prediction,
        max(created_at) as created_at
    from runs
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
    from runs
    inner join newest_runs on runs.prediction = newest_runs.prediction
    left join published_runs on runs.run_id = published_runs.run_id
    left join refused_runs on runs.run_id = refused_runs.run_id
    where
        published_runs.run_id is null
        -- a refused run may be tried again until a newer one has taken its place
        and (refused_runs.run_id is null or runs.created_at = newest_runs.created_at)

)

select * from final
