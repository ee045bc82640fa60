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
{#- How far off, in logits, a shop's probabilities may be before any window of it has closed. -#}
{%- set unknown = {'level': 0.4, 'slope': 0.2} %}
{%- set usual = {'level': level_sd, 'slope': slope_sd} %}
{#- Closed windows that an estimate learns from, the newest ones. -#}
{%- set most_windows = 6 %}

with runs as (

    {{ runs_not_there_yet() }}

),

published_runs as (

    select * from {{ ref('stg_predictions__published_runs') }}
    where is_last_published

),

measured as (

    select * from {{ ref('performance_rows') }}
    where segment_kind = 'all' and auc_low is not null

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

-- what was known, when a run was made, of the windows that had closed by then
closed_windows as (

    select
        runs.run_id,
        measured.score_kind,
        measured.calibration_slope - 1 as slope_off,
        power((measured.calibration_slope_high - measured.calibration_slope_low) / 3.92, 2)
            as slope_noise,
        ln(measured.realised_rate / (1 - measured.realised_rate))
        - ln(measured.expected_rate / (1 - measured.expected_rate)) as level_off,
        power(
            (measured.realised_rate_high - measured.realised_rate_low) / 3.92
            / (measured.realised_rate * (1 - measured.realised_rate)), 2
        ) as level_noise,
        row_number() over (
            partition by runs.run_id, measured.score_kind
            order by published_runs.as_of_date desc, published_runs.run_id asc
        ) as recency
    from runs
    inner join published_runs
        on
            runs.prediction = published_runs.prediction
            and runs.horizon_days = published_runs.horizon_days
            and runs.as_of_date > published_runs.as_of_date
    inner join measured
        on
            published_runs.run_id = measured.run_id
            and runs.as_of_date >= measured.label_known_at

),

-- each window counts by how well it is known; none at all would be no correction
learned as (

    select
        run_id,
        score_kind,
        cast(count(*) as integer) as window_count,
        {%- for name in ['level', 'slope'] %}
        {%- set weight = '1 / (' ~ name ~ '_noise + ' ~ usual[name] * usual[name] ~ ')' %}
        sum({{ name }}_off * {{ weight }})
        / ({{ 1 / (unknown[name] * unknown[name]) }} + sum({{ weight }})) as {{ name }}_off
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from closed_windows
    where recency <= {{ most_windows }}
    group by 1, 2

),

logits as (

    select
        run_id,
        score_kind,
        cluster_key,
        ln({{ kept_from_the_edge('probability') }} / (1 - {{ kept_from_the_edge('probability') }}))
            as published_logit
    from scores

),

corrected_rows as (

    select
        logits.*,
        learned.window_count,
        case
            when learned.window_count is null then logits.published_logit
            else
                logits.published_logit + learned.level_off
                + learned.slope_off * (
                    logits.published_logit - avg(logits.published_logit) over (
                        partition by logits.run_id, logits.score_kind
                    )
                )
        end as logit
    from logits
    left join learned
        on
            logits.run_id = learned.run_id
            and logits.score_kind = learned.score_kind

),

-- `spread` is the variance of an answer that is a yes with this probability
promised_rows as (

    select
        *,
        {{ logistic('logit') }} as probability,
        1 - {{ logistic('logit') }} as improbability,
        {{ logistic('logit') }} * (1 - {{ logistic('logit') }}) as spread,
        {{ logistic('published_logit') }} as published_probability
    from corrected_rows

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
        down_to_score as (partition by run_id, score_kind order by published_logit desc),
        of_score as (partition by run_id, score_kind, published_logit)

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
        -ranked_rows.published_logit / ranked_rows.row_count as log_loss_moved,
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
        sum(published_probability) as published_probability,
        sum(
            -probability * ln(published_probability)
            - improbability * ln(1 - published_probability)
        ) as log_loss,
        max(window_count) as window_count
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
        sum(probability) as estimated_count,
        sum(published_probability) as expected_count,
        coalesce(max(window_count), 0) as window_count
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
            'estimated_count', 'estimated_count', 'count_error', 'true', 0, 'row_count'
        ) }},
        expected_count,
        window_count as closed_window_count
    from figures

)

select * from final
