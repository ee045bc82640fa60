{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    indexes=[{'columns': ['run_id', 'customer_id']}],
    post_hook=[
        "{{ index_on(['run_id', 'band', 'expected_value']) }}",
        "{{ index_on(['run_id', 'probability']) }}",
    ],
) }}

{%- set conditions = ['segment', 'band', 'decile'] %}

with scores as (

    select * from {{ source('predictions', 'order_habit') }}

),

runs as (

    select runs.* from {{ source('predictions', 'runs') }} as runs
    where
        runs.prediction = 'order_habit'
        and {{ is_missing('runs', ['run_id']) }}

),

order_features as (

    select * from {{ ref('feat_order_habit') }}

),

margins as (

    select * from {{ ref('margins') }}

),

rules as (

    select * from {{ ref('action_rules') }}

),

scored_customers as (

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
        {{ json_text('runs.detail', 'calibration_note') }} as calibration_note,
        {{ customer_segment('order_features') }} as segment,
        order_features.monetary_average_order_value * margins.order_margin_share as value_at_stake,
        {{ is_held_out('scores.customer_id') }} as is_holdout
    from scores
    inner join runs on scores.run_id = runs.run_id
    cross join margins
    left join order_features
        on
            scores.customer_id = order_features.customer_id
            and scores.as_of_date = order_features.as_of_date

),

situations as (

    select distinct {{ conditions | join(', ') }}
    from scored_customers

),

actions as (

    {{ fitting_rules('order_habit', 'rules', 'situations', conditions) }}

),

final as (

    select
        scored_customers.run_id,
        scored_customers.customer_id,
        scored_customers.as_of_date,
        scored_customers.horizon_days,
        scored_customers.probability,
        scored_customers.decile,
        scored_customers.band,
        scored_customers.reasons,
        scored_customers.recipe,
        scored_customers.model_version,
        scored_customers.scored_at,
        scored_customers.label_known_at,
        scored_customers.reasons_text,
        scored_customers.calibration_note,
        scored_customers.segment,
        scored_customers.value_at_stake,
        scored_customers.probability * scored_customers.value_at_stake as expected_value,
        (1 - scored_customers.probability) * scored_customers.value_at_stake as value_at_risk,
        actions.rule_action as suggested_action,
        actions.what_to_do,
        scored_customers.is_holdout
    from scored_customers
    left join actions
        on
            scored_customers.segment = actions.segment
            and scored_customers.band = actions.band
            and scored_customers.decile = actions.decile

)

select * from final
