{{ config(tags=['outcomes']) }}

with measured as (

    select * from {{ ref('performance_rows') }}

),

estimates as (

    select
        *,
        'all' as segment_kind,
        'all' as segment
    from {{ ref('performance_estimates_rows') }}

),

published_runs as (

    select * from {{ ref('stg_predictions__published_runs') }}

),

figures as (

    select
        coalesce(measured.run_id, estimates.run_id) as run_id,
        coalesce(measured.score_kind, estimates.score_kind) as score_kind,
        coalesce(measured.segment_kind, estimates.segment_kind) as segment_kind,
        coalesce(measured.segment, estimates.segment) as segment,
        measured.run_id is not null as is_settled,
        measured.label_known_at,
        coalesce(measured.row_count, estimates.row_count) as row_count,
        coalesce(measured.customer_count, estimates.customer_count) as customer_count,
        measured.realised_count,
        coalesce(
            measured.expected_count, estimates.expected_count, estimates.estimated_count
        ) as expected_count,
        measured.realised_rate,
        measured.realised_rate_low,
        measured.realised_rate_high,
        measured.expected_rate,
        measured.auc,
        measured.auc_low,
        measured.auc_high,
        measured.average_precision,
        measured.average_precision_low,
        measured.average_precision_high,
        measured.log_loss,
        measured.log_loss_low,
        measured.log_loss_high,
        measured.brier,
        measured.brier_low,
        measured.brier_high,
        measured.calibration_slope,
        measured.calibration_slope_low,
        measured.calibration_slope_high,
        measured.lift,
        measured.lift_low,
        measured.lift_high,
        measured.expected_value,
        measured.realised_value,
        measured.realised_value_low,
        measured.realised_value_high,
        estimates.estimated_auc,
        estimates.estimated_auc_low,
        estimates.estimated_auc_high,
        estimates.estimated_log_loss,
        estimates.estimated_log_loss_low,
        estimates.estimated_log_loss_high,
        estimates.estimated_count,
        estimates.estimated_count_low,
        estimates.estimated_count_high,
        estimates.closed_window_count
    from measured
    full outer join estimates
        on
            measured.run_id = estimates.run_id
            and measured.score_kind = estimates.score_kind
            and measured.segment_kind = estimates.segment_kind
            and measured.segment = estimates.segment

),

final as (

    select
        published_runs.prediction,
        figures.score_kind,
        published_runs.as_of_date,
        published_runs.horizon_days,
        figures.segment_kind,
        figures.segment,
        figures.is_settled,
        figures.label_known_at,
        figures.row_count,
        figures.customer_count,
        figures.realised_count,
        figures.expected_count,
        figures.realised_rate,
        figures.realised_rate_low,
        figures.realised_rate_high,
        figures.expected_rate,
        figures.auc,
        figures.auc_low,
        figures.auc_high,
        figures.average_precision,
        figures.average_precision_low,
        figures.average_precision_high,
        figures.log_loss,
        figures.log_loss_low,
        figures.log_loss_high,
        figures.brier,
        figures.brier_low,
        figures.brier_high,
        figures.calibration_slope,
        figures.calibration_slope_low,
        figures.calibration_slope_high,
        figures.lift,
        figures.lift_low,
        figures.lift_high,
        figures.expected_value,
        figures.realised_value,
        figures.realised_value_low,
        figures.realised_value_high,
        figures.estimated_auc,
        figures.estimated_auc_low,
        figures.estimated_auc_high,
        figures.estimated_log_loss,
        figures.estimated_log_loss_low,
        figures.estimated_log_loss_high,
        figures.estimated_count,
        figures.estimated_count_low,
        figures.estimated_count_high,
        figures.closed_window_count,
        published_runs.recipe,
        published_runs.bundle_id as model_version,
        published_runs.run_id,
        published_runs.published_at,
        published_runs.is_last_published
    from figures
    inner join published_runs on figures.run_id = published_runs.run_id

)

select * from final
