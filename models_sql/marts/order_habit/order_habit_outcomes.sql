with outcomes as (

    select * from {{ ref('order_habit_outcomes_rows') }}

),

order_habit_rows as (

    select * from {{ ref('order_habit_rows') }}

),

-- what was published last for a date is what counts for it
published_runs as (

    select
        *,
        row_number() over (
            partition by as_of_date, horizon_days order by published_at desc, run_id asc
        ) as place
    from {{ ref('stg_predictions__published_runs') }}
    where prediction = 'order_habit'

),

final as (

    select
        order_habit_rows.customer_id,
        order_habit_rows.as_of_date,
        order_habit_rows.horizon_days,
        order_habit_rows.probability,
        order_habit_rows.decile,
        order_habit_rows.band,
        order_habit_rows.segment,
        order_habit_rows.value_at_stake,
        order_habit_rows.expected_value,
        order_habit_rows.suggested_action,
        order_habit_rows.is_holdout,
        outcomes.label as reordered,
        outcomes.label_known_at,
        order_habit_rows.recipe,
        order_habit_rows.model_version,
        order_habit_rows.run_id,
        published_runs.published_at
    from outcomes
    inner join order_habit_rows
        on
            outcomes.run_id = order_habit_rows.run_id
            and outcomes.customer_id = order_habit_rows.customer_id
    inner join published_runs
        on
            outcomes.run_id = published_runs.run_id
            and published_runs.place = 1

)

select * from final
