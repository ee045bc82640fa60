{{ config(tags=['outcomes']) }}

with deciles as (

    select * from {{ ref('calibration_rows') }}

),

published_runs as (

    select * from {{ ref('stg_predictions__published_runs') }}

),

final as (

    select
        published_runs.prediction,
        deciles.score_kind,
        published_runs.as_of_date,
        published_runs.horizon_days,
        deciles.decile,
        deciles.row_count,
        deciles.customer_count,
        deciles.realised_count,
        deciles.mean_probability,
        deciles.lowest_probability,
        deciles.highest_probability,
        deciles.realised_rate,
        deciles.realised_rate_low,
        deciles.realised_rate_high,
        published_runs.recipe,
        published_runs.bundle_id as model_version,
        published_runs.run_id,
        published_runs.published_at,
        published_runs.is_last_published
    from deciles
    inner join published_runs on deciles.run_id = published_runs.run_id

)

select * from final
