{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    indexes=[{'columns': ['run_id', 'customer_id']}],
) }}

with scores as (

    select * from {{ source('predictions', 'order_habit') }}

),

runs as (

    select runs.* from {{ source('predictions', 'runs') }} as runs
    where
        runs.prediction = 'order_habit'
        {%- if is_incremental() %}
        and runs.run_id not in (select distinct present.run_id from {{ this }} as present)
        {%- endif %}

),

final as (

    select
        scores.run_id,
        scores.customer_id,
        scores.as_of_date,
        scores.horizon_days,
        scores.probability,
        -- 1 holds the tenth of customers most likely to order again
        cast(
            ntile(10) over (
                partition by scores.run_id order by scores.probability desc, scores.customer_id asc
            ) as integer
        ) as decile,
        case
            when scores.probability >= 0.7 then 'very likely'
            when scores.probability >= 0.4 then 'likely'
            when scores.probability >= 0.15 then 'unlikely'
            else 'very unlikely'
        end as band,
        scores.reasons,
        runs.recipe,
        runs.bundle_id as model_version,
        scores.scored_at,
        scores.label_known_at,
        {{ reasons_in_words('scores.reasons') }} as reasons_text,
        {{ json_text('runs.detail', 'calibration_note') }} as calibration_note
    from scores
    inner join runs on scores.run_id = runs.run_id

)

select * from final
