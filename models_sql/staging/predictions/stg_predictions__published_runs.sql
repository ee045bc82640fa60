with events as (

    select * from {{ source('predictions', 'run_events') }}
    where event = 'published'

),

runs as (

    select * from {{ source('predictions', 'runs') }}

),

first_published as (

    select
        run_id,
        min(happened_at) as published_at
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
        first_published.published_at,
        -- what was published last for a date is what counts for it
        row_number() over (
            partition by runs.prediction, runs.as_of_date, runs.horizon_days
            order by first_published.published_at desc, runs.run_id asc
        ) = 1 as is_last_published
    from first_published
    inner join runs on first_published.run_id = runs.run_id

)

select * from final
