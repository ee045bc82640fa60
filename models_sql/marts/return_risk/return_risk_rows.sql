{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    indexes=[{'columns': ['run_id', 'line_key']}],
    post_hook=[
        "{{ index_on(['run_id', 'order_id']) }}",
        "{{ index_on(['run_id', 'customer_id']) }}",
        "{{ index_on(['run_id', 'expected_saving']) }}",
    ],
) }}

with scores as (

    select * from {{ source('predictions', 'return_risk') }}

),

runs as (

    select runs.* from {{ source('predictions', 'runs') }} as runs
    where
        runs.prediction = 'return_risk'
        and {{ is_missing('runs', ['run_id']) }}

),

lines as (

    select * from {{ ref('feat_return_risk') }}

),

outcomes as (

    select * from {{ ref('int_line_outcomes') }}

),

costs as (

    select * from {{ ref('return_costs') }}

),

rules as (

    select * from {{ ref('action_rules') }}

),

-- After how many days returns became known, among lines that were settled when the run was made.
delays as (

    select
        runs.run_id,
        {{ days_between('outcomes.ordered_on', 'outcomes.returned_known_on') }} as delay_days,
        count(*) as return_count
    from runs
    inner join outcomes
        on
            runs.horizon_days = outcomes.horizon_days
            and runs.as_of_date >= outcomes.label_known_at
    where outcomes.label = 1 and outcomes.returned_known_on is not null
    group by 1, 2

),

scored_lines as (

    select
        scores.run_id,
        scores.line_key,
        lines.order_id,
        lines.line_id,
        lines.customer_id,
        lines.product_id,
        lines.ordered_at,
        lines.basket_line_value as line_value,
        scores.as_of_date,
        scores.horizon_days,
        {{ days_between('lines.ordered_on', 'scores.as_of_date') }} as age_days,
        scores.probability as probability_at_order,
        outcomes.is_dated,
        scores.reasons,
        runs.recipe,
        runs.bundle_id as model_version,
        scores.scored_at,
        scores.label_known_at,
        {{ reasons_in_words('scores.reasons') }} as reasons_text,
        {{ json_text('runs.detail', 'calibration_note') }} as calibration_note
    from scores
    inner join runs on scores.run_id = runs.run_id
    inner join lines on scores.line_key = lines.line_key
    left join outcomes
        on
            scores.line_key = outcomes.line_key
            and scores.horizon_days = outcomes.horizon_days

),

ages as (

    select distinct
        run_id,
        age_days
    from scored_lines

),

-- The share of returns that are known by each age: what is not back by then is less likely to come.
known_shares as (

    select
        ages.run_id,
        ages.age_days,
        {{ ratio(
            'sum(case when delays.delay_days < ages.age_days then delays.return_count else 0 end)',
            'sum(delays.return_count)',
        ) }} as known_share
    from ages
    inner join delays on ages.run_id = delays.run_id
    group by 1, 2

),

weighed_lines as (

    select
        scored_lines.*,
        case when scored_lines.is_dated then known_shares.known_share end as known_share,
        avg(scored_lines.probability_at_order) over (partition by scored_lines.run_id)
            as average_probability,
        costs.return_fixed_cost + costs.return_value_share * scored_lines.line_value as return_cost,
        costs.intervention_cost,
        costs.intervention_saved_share
    from scored_lines
    left join known_shares
        on
            scored_lines.run_id = known_shares.run_id
            and scored_lines.age_days = known_shares.age_days
    cross join costs

),

current_lines as (

    select
        *,
        probability_at_order * (1 - known_share) / (1 - probability_at_order * known_share)
            as probability_still
    from weighed_lines

),

valued_lines as (

    select
        *,
        least(1, {{ ratio('intervention_cost', 'intervention_saved_share * return_cost') }})
            as threshold,
        coalesce(probability_still, probability_at_order) * intervention_saved_share * return_cost
        - intervention_cost as expected_saving
    from current_lines

),

banded_lines as (

    select
        *,
        -- 1 holds the tenth of lines most likely to come back
        cast(
            ntile(10) over (
                partition by run_id order by probability_at_order desc, line_key asc
            ) as integer
        ) as decile,
        case
            when probability_at_order >= 2 * average_probability then 'far above average'
            when probability_at_order >= 1.2 * average_probability then 'above average'
            when probability_at_order >= 0.8 * average_probability then 'average'
            else 'below average'
        end as band,
        case when expected_saving > 0 then 'intervene' else 'leave' end as suggested_action
    from valued_lines

),

situations as (

    select distinct
        suggested_action,
        band,
        decile
    from banded_lines

),

actions as (

    {{ fitting_rules(
        'return_risk', 'rules', 'situations', ['suggested_action', 'band', 'decile']
    ) }}

),

final as (

    select
        banded_lines.run_id,
        banded_lines.line_key,
        banded_lines.order_id,
        banded_lines.line_id,
        banded_lines.customer_id,
        banded_lines.product_id,
        banded_lines.ordered_at,
        banded_lines.line_value,
        banded_lines.as_of_date,
        banded_lines.horizon_days,
        banded_lines.probability_at_order,
        banded_lines.probability_still,
        banded_lines.decile,
        banded_lines.band,
        banded_lines.threshold,
        banded_lines.suggested_action,
        banded_lines.expected_saving,
        '{{ return_label() }}' as label_kind,
        banded_lines.reasons,
        banded_lines.recipe,
        banded_lines.model_version,
        banded_lines.scored_at,
        banded_lines.label_known_at,
        banded_lines.reasons_text,
        banded_lines.calibration_note,
        coalesce(banded_lines.probability_still, banded_lines.probability_at_order)
        * banded_lines.return_cost as expected_return_cost,
        actions.what_to_do,
        -- every order of a guest is somebody else's
        {{ is_held_out("coalesce(banded_lines.customer_id, banded_lines.order_id)") }} as is_holdout
    from banded_lines
    left join actions
        on
            banded_lines.suggested_action = actions.suggested_action
            and banded_lines.band = actions.band
            and banded_lines.decile = actions.decile

)

select * from final
