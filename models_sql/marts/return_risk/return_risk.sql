with return_risk_rows as (

    select * from {{ ref('return_risk_rows') }}

),

runs_in_force as (

    select * from {{ ref('stg_predictions__runs_in_force') }}
    where prediction = 'return_risk'

),

final as (

    select
        return_risk_rows.line_key,
        return_risk_rows.order_id,
        return_risk_rows.line_id,
        return_risk_rows.customer_id,
        return_risk_rows.product_id,
        return_risk_rows.ordered_at,
        return_risk_rows.line_value,
        return_risk_rows.as_of_date,
        return_risk_rows.horizon_days,
        return_risk_rows.probability_at_order,
        return_risk_rows.probability_still,
        return_risk_rows.decile,
        return_risk_rows.band,
        return_risk_rows.threshold,
        return_risk_rows.suggested_action,
        return_risk_rows.expected_saving,
        return_risk_rows.label_kind,
        return_risk_rows.reasons,
        return_risk_rows.recipe,
        return_risk_rows.model_version,
        return_risk_rows.run_id,
        return_risk_rows.scored_at,
        return_risk_rows.label_known_at,
        return_risk_rows.reasons_text,
        return_risk_rows.calibration_note,
        return_risk_rows.expected_return_cost,
        return_risk_rows.what_to_do,
        return_risk_rows.is_holdout,
        runs_in_force.warning
    from return_risk_rows
    inner join runs_in_force on return_risk_rows.run_id = runs_in_force.run_id

)

select * from final
