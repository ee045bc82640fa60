with purchase_potential_rows as (

    select * from {{ ref('purchase_potential_rows') }}

),

runs_in_force as (

    select * from {{ ref('stg_predictions__runs_in_force') }}
    where prediction = 'purchase_potential'

),

final as (

    select
        purchase_potential_rows.customer_id,
        purchase_potential_rows.item_level,
        purchase_potential_rows.item_id,
        purchase_potential_rows.product_name,
        purchase_potential_rows.category,
        purchase_potential_rows.item_rank,
        purchase_potential_rows.probability,
        purchase_potential_rows.score,
        purchase_potential_rows.reasons,
        purchase_potential_rows.as_of_date,
        purchase_potential_rows.horizon_days,
        purchase_potential_rows.recipe,
        purchase_potential_rows.model_version,
        purchase_potential_rows.run_id,
        purchase_potential_rows.scored_at,
        purchase_potential_rows.label_known_at,
        purchase_potential_rows.decile,
        purchase_potential_rows.band,
        purchase_potential_rows.value_at_stake,
        purchase_potential_rows.expected_value,
        purchase_potential_rows.suggested_action,
        purchase_potential_rows.what_to_do,
        purchase_potential_rows.is_holdout,
        purchase_potential_rows.reasons_text,
        runs_in_force.calibration_note,
        purchase_potential_rows.item_price,
        runs_in_force.warning
    from purchase_potential_rows
    inner join runs_in_force on purchase_potential_rows.run_id = runs_in_force.run_id

)

select * from final
