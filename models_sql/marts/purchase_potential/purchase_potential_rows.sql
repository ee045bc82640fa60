{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    indexes=[{'columns': ['run_id', 'customer_id']}, {'columns': ['run_id', 'item_id']}],
    post_hook="{{ index_on(['run_id', 'item_level', 'expected_value']) }}",
) }}

with scores as (

    select * from {{ source('predictions', 'purchase_potential') }}

),

runs as (

    select runs.* from {{ source('predictions', 'runs') }} as runs
    where
        runs.prediction = 'purchase_potential'
        and {{ is_missing('runs', ['run_id']) }}

),

products as (

    select * from {{ ref('int_products') }}

),

item_features as (

    select * from {{ ref('feat_purchase_potential') }}

),

margins as (

    select * from {{ ref('margins') }}

),

rules as (

    select * from {{ ref('action_rules') }}

),

scored_pairs as (

    select
        scores.run_id,
        scores.customer_id,
        scores.item_level,
        scores.item_id,
        products.product_name,
        case
            when scores.item_level = 'category' then scores.item_id else products.category
        end as category,
        scores.as_of_date,
        scores.horizon_days,
        scores.probability,
        ln(scores.probability / (1 - scores.probability)) as score,
        cast(
            row_number() over (
                partition by scores.run_id, scores.customer_id, scores.item_level
                order by scores.probability desc, scores.item_id asc
            ) as integer
        ) as item_rank,
        scores.reasons,
        runs.recipe,
        runs.bundle_id as model_version,
        scores.scored_at,
        scores.label_known_at,
        -- 1 holds the tenth of the run's pairs of this level that are the likeliest
        cast(
            ntile(10) over (
                partition by scores.run_id, scores.item_level
                order by scores.probability desc, scores.customer_id asc, scores.item_id asc
            ) as integer
        ) as decile,
        case
            when scores.probability >= 0.1 then 'strong'
            when scores.probability >= 0.03 then 'good'
            when scores.probability >= 0.01 then 'fair'
            else 'slight'
        end as band,
        item_features.product_mean_price as item_price,
        item_features.product_mean_price * margins.product_margin_share as value_at_stake,
        {{ is_held_out('scores.customer_id') }} as is_holdout,
        {{ reasons_in_words('scores.reasons') }} as reasons_text
    from scores
    inner join runs on scores.run_id = runs.run_id
    cross join margins
    left join products
        on
            scores.item_level = 'product'
            and scores.item_id = products.product_id
            and {{ version_known_before('products', 'scores.as_of_date') }}
    left join item_features
        on
            scores.item_level = item_features.item_level
            and scores.item_id = item_features.item_id
            and scores.as_of_date = item_features.as_of_date

),

situations as (

    select distinct
        band,
        decile
    from scored_pairs

),

actions as (

    {{ fitting_rules('purchase_potential', 'rules', 'situations', ['band', 'decile']) }}

),

final as (

    select
        scored_pairs.run_id,
        scored_pairs.customer_id,
        scored_pairs.item_level,
        scored_pairs.item_id,
        scored_pairs.product_name,
        scored_pairs.category,
        scored_pairs.as_of_date,
        scored_pairs.horizon_days,
        scored_pairs.probability,
        scored_pairs.score,
        scored_pairs.item_rank,
        scored_pairs.reasons,
        scored_pairs.recipe,
        scored_pairs.model_version,
        scored_pairs.scored_at,
        scored_pairs.label_known_at,
        scored_pairs.decile,
        scored_pairs.band,
        scored_pairs.value_at_stake,
        scored_pairs.probability * scored_pairs.value_at_stake as expected_value,
        actions.rule_action as suggested_action,
        actions.what_to_do,
        scored_pairs.is_holdout,
        scored_pairs.reasons_text,
        scored_pairs.item_price
    from scored_pairs
    left join actions
        on
            scored_pairs.band = actions.band
            and scored_pairs.decile = actions.decile

)

select * from final
