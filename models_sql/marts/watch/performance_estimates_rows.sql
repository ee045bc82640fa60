{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    pre_hook="{{ join_by_hash() }}",
    indexes=[{'columns': ['run_id']}],
) }}

{%- set level_sd = var('estimate_level_sd') | float %}
{%- set slope_sd = var('estimate_slope_sd') | float %}
{%- set same_customer = var('estimate_same_customer') | float %}

with runs as (

    select runs.* from {{ source('predictions', 'runs') }} as runs
    {%- if is_incremental() %}
    where
        not exists (
            select 1 from {{ this }} as present
            where present.run_id = runs.run_id
        )
    {%- endif %}

),

order_habit_rows as (

    select * from {{ ref('order_habit_rows') }}

),

purchase_potential_rows as (

    select * from {{ ref('purchase_potential_rows') }}

),

return_risk_rows as (

    select * from {{ ref('return_risk_rows') }}

),

scores as (

    select
        scores.run_id,
        'customer' as score_kind,
        scores.customer_id as cluster_key,
        scores.probability
    from runs
    inner join order_habit_rows as scores on runs.run_id = scores.run_id
    where runs.prediction = 'order_habit'

    union all

    select
        scores.run_id,
        scores.item_level as score_kind,
        scores.customer_id as cluster_key,
        scores.probability
    from runs
    inner join purchase_potential_rows as scores on runs.run_id = scores.run_id
    where runs.prediction = 'purchase_potential'

    union all

    select
        scores.run_id,
        'line' as score_kind,
        coalesce(scores.customer_id, scores.order_id) as cluster_key,
        coalesce(scores.probability_still, scores.probability_at_order) as probability
    from runs
    inner join return_risk_rows as scores on runs.run_id = scores.run_id
    where runs.prediction = 'return_risk'

),

-- `spread` is the variance of an answer that is a yes with this probability
promised_rows as (

    select
        run_id,
        score_kind,
        cluster_key,
        {{ kept_from_the_edge('probability') }} as probability,
        1 - {{ kept_from_the_edge('probability') }} as improbability,
        ln({{ kept_from_the_edge('probability') }} / (1 - {{ kept_from_the_edge('probability') }}))
            as logit,
        {{ kept_from_the_edge('probability') }} * (1 - {{ kept_from_the_edge('probability') }})
            as spread
    from scores

),

ranked_rows as (

    select
        *,
        sum(probability) over in_run as all_yes,
        sum(improbability) over in_run as all_no,
        cast(count(*) over in_run as {{ type_double() }}) as row_count,
        sum(spread) over in_run as all_spread,
        sum(spread * logit) over in_run / sum(spread) over in_run as middle_logit,
        -- yes and no to be expected above this row and below it; of ties, half of the others
        sum(probability) over down_to_score
        - 0.5 * sum(probability) over of_score - 0.5 * probability as yes_above,
        sum(improbability) over in_run - sum(improbability) over down_to_score
        + 0.5 * sum(improbability) over of_score - 0.5 * improbability as no_below
    from promised_rows
    window
        in_run as (partition by run_id, score_kind),
        down_to_score as (partition by run_id, score_kind order by probability desc),
        of_score as (partition by run_id, score_kind, probability)

),

-- pairs of a yes and a no, without those of a row with itself
pairs as (

    select
        run_id,
        score_kind,
        max(all_yes * all_no - all_spread) as pair_count,
        sum(probability * no_below) / nullif(max(all_yes * all_no - all_spread), 0) as auc
    from ranked_rows
    group by 1, 2

),

-- By how much a yes instead of a no of this row would move each figure.
moved_rows as (

    select
        ranked_rows.*,
        pairs.auc,
        (
            ranked_rows.no_below - pairs.auc * (ranked_rows.all_no - ranked_rows.improbability)
            - ranked_rows.yes_above + pairs.auc * (ranked_rows.all_yes - ranked_rows.probability)
        ) / nullif(pairs.pair_count, 0) as auc_moved,
        -ranked_rows.logit / ranked_rows.row_count as log_loss_moved,
        cast(1 as {{ type_double() }}) as count_moved
    from ranked_rows
    inner join pairs
        on
            ranked_rows.run_id = pairs.run_id
            and ranked_rows.score_kind = pairs.score_kind

),

clusters as (

    select
        run_id,
        score_kind,
        cluster_key,
        count(*) as row_count,
        max(auc) as auc,
        {%- for figure in ['auc', 'log_loss', 'count'] %}
        sum({{ figure }}_moved * {{ figure }}_moved * spread) as {{ figure }}_alone,
        sum({{ figure }}_moved * sqrt(spread)) as {{ figure }}_together,
        sum({{ figure }}_moved * spread) as {{ figure }}_by_level,
        sum({{ figure }}_moved * spread * (logit - middle_logit)) as {{ figure }}_by_slope,
        {%- endfor %}
        sum(probability) as probability,
        sum(-probability * ln(probability) - improbability * ln(improbability)) as log_loss
    from moved_rows
    group by 1, 2, 3

),

figures as (

    select
        run_id,
        score_kind,
        sum(row_count) as row_count,
        count(*) as customer_count,
        max(auc) as auc,
        sum(log_loss) / sum(row_count) as log_loss,
        {%- for figure in ['auc', 'log_loss', 'count'] %}
        sqrt(
            -- chance: each answer by itself, and those of one customer to some degree together
            {{ 1 - same_customer }} * sum({{ figure }}_alone)
            + {{ same_customer }} * sum({{ figure }}_together * {{ figure }}_together)
            -- calibration: the level and the slope may be off
            + {{ level_sd * level_sd }} * sum({{ figure }}_by_level) * sum({{ figure }}_by_level)
            + {{ slope_sd * slope_sd }} * sum({{ figure }}_by_slope) * sum({{ figure }}_by_slope)
        ) as {{ figure }}_error,
        {%- endfor %}
        sum(probability) as expected_count
    from clusters
    group by 1, 2

),

final as (

    select
        run_id,
        score_kind,
        cast(row_count as integer) as row_count,
        cast(customer_count as integer) as customer_count,
        {{ with_interval('estimated_auc', 'auc', 'auc_error', 'true', 0, 1) }},
        {{ with_interval('estimated_log_loss', 'log_loss', 'log_loss_error', 'true', 0) }},
        {{ with_interval(
            'estimated_count', 'expected_count', 'count_error', 'true', 0, 'row_count'
        ) }}
    from figures

)

select * from final
