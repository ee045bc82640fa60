{{ config(tags=['outcomes']) }}

with outcomes as (

    select * from {{ ref('prediction_outcomes_rows') }}

),

published_runs as (

    select * from {{ ref('stg_predictions__published_runs') }}

),

final as (

    select
        outcomes.prediction,
        outcomes.score_kind,
        outcomes.customer_id,
        outcomes.order_id,
        outcomes.item_id,
        outcomes.line_key,
        outcomes.category,
        outcomes.as_of_date,
        outcomes.horizon_days,
        outcomes.probability,
        outcomes.label,
        outcomes.label_known_at,
        outcomes.value_at_stake,
        outcomes.expected_value,
        outcomes.realised_value,
        outcomes.realised_amount,
        outcomes.decile,
        outcomes.band,
        outcomes.segment,
        outcomes.suggested_action,
        outcomes.is_holdout,
        outcomes.customer_kind,
        outcomes.value_band,
        outcomes.customer_group_name,
        outcomes.customer_group,
        outcomes.recipe,
        outcomes.model_version,
        outcomes.run_id,
        published_runs.published_at,
        published_runs.is_last_published,
        outcomes.settled_at
    from outcomes
    inner join published_runs on outcomes.run_id = published_runs.run_id

)

select * from final
