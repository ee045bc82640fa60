with order_habit_rows as (

    select * from {{ ref('order_habit_rows') }}

),

runs_in_force as (

    select * from {{ ref('stg_predictions__runs_in_force') }}
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
        order_habit_rows.reasons,
        order_habit_rows.recipe,
        order_habit_rows.model_version,
        order_habit_rows.run_id,
        order_habit_rows.scored_at,
        order_habit_rows.label_known_at,
        order_habit_rows.reasons_text,
        order_habit_rows.calibration_note,
        order_habit_rows.segment,
        order_habit_rows.value_at_stake,
        order_habit_rows.expected_value,
        order_habit_rows.value_at_risk,
        order_habit_rows.suggested_action,
        order_habit_rows.what_to_do,
        order_habit_rows.is_holdout,
        runs_in_force.warning
    from order_habit_rows
    inner join runs_in_force on order_habit_rows.run_id = runs_in_force.run_id

)

select * from final
