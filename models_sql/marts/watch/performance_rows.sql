{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    pre_hook="{{ join_by_hash() }}",
    tags=['outcomes'],
    indexes=[{'columns': ['run_id']}],
) }}

{#- Rows that a segment must have to be shown, and customers of each answer to get an interval. -#}
{%- set fewest_rows = 100 %}
{%- set fewest_customers = 10 %}
{#- For linting, one step stands for all. -#}
{%- set newton_steps = 12 if execute else 1 %}
{%- set fit = logistic('(earlier.shift + earlier.slope * judged_rows.logit)') %}

with runs as (

    {{ runs_not_there_yet() }}

),

outcomes as (

    select
        outcomes.*,
        coalesce(outcomes.customer_id, outcomes.order_id) as cluster_key,
        coalesce(outcomes.line_key, outcomes.customer_id || '|' || coalesce(outcomes.item_id, ''))
            as row_key,
        {{ kept_from_the_edge('outcomes.probability') }} as kept_probability
    from {{ ref('prediction_outcomes_rows') }} as outcomes
    where {{ is_one_of_few('outcomes.run_id', 'select runs.run_id from runs') }}

),

segment_kinds as (

    select 'all' as segment_kind
    {%- for kind in ['customer_kind', 'value_band', 'customer_group', 'category', 'segment'] %}
    union all
    select '{{ kind }}' as segment_kind
    {%- endfor %}

),

rows_by_segment as (

    select
        outcomes.*,
        case
            when segment_kinds.segment_kind = 'customer_group' then outcomes.customer_group_name
            else segment_kinds.segment_kind
        end as cut_by,
        case segment_kinds.segment_kind
            when 'all' then 'all'
            when 'customer_kind' then outcomes.customer_kind
            when 'value_band' then outcomes.value_band
            when 'customer_group' then outcomes.customer_group
            when 'category' then outcomes.category
            when 'segment' then outcomes.segment
        end as cut
    from outcomes
    cross join segment_kinds

),

cells as (

    select
        run_id,
        score_kind,
        cut_by,
        cut,
        row_number() over (order by run_id, score_kind, cut_by, cut) as cell_id,
        avg(ln(kept_probability / (1 - kept_probability))) as mean_logit,
        max(label_known_at) as label_known_at,
        sum(expected_value) as expected_value
    from rows_by_segment
    where cut is not null
    group by 1, 2, 3, 4
    having cut_by = 'all' or count(*) >= {{ fewest_rows }}

),

judged_rows as (

    select
        cells.cell_id,
        judged.cluster_key,
        judged.row_key,
        judged.probability,
        judged.kept_probability,
        cast(judged.label as {{ type_double() }}) as label,
        ln(judged.kept_probability / (1 - judged.kept_probability)) - cells.mean_logit as logit,
        coalesce(judged.realised_value, 0) as realised_value
    from rows_by_segment as judged
    inner join cells
        on
            judged.run_id = cells.run_id
            and judged.score_kind = cells.score_kind
            and judged.cut_by = cells.cut_by
            and judged.cut = cells.cut

),

-- What each row has above it and beside it: ties share a rank, so each counts half.
ranked_rows as (

    select
        *,
        sum(label) over in_cell as yes_count,
        count(*) over in_cell - sum(label) over in_cell as no_count,
        sum(label) over down_to_score as yes_down,
        cast(count(*) over down_to_score as {{ type_double() }}) as rows_down,
        sum(label) over of_score as yes_tied,
        count(*) over of_score - sum(label) over of_score as no_tied,
        case
            when row_number() over one_by_one <= ceiling(count(*) over in_cell / 10.0) then 1
            else 0
        end as is_top
    from judged_rows
    window
        in_cell as (partition by cell_id),
        down_to_score as (partition by cell_id order by probability desc),
        one_by_one as (partition by cell_id order by probability desc, row_key asc),
        of_score as (partition by cell_id, probability)

),

placed_rows as (

    select
        *,
        yes_down / rows_down as precision_here,
        -- what one row more, as this one, would change in the precision of those below
        sum(label / rows_down) over in_cell
        - sum(label / rows_down) over down_to_score
        + yes_tied / rows_down as below,
        sum(label * yes_down / (rows_down * rows_down)) over in_cell
        - sum(label * yes_down / (rows_down * rows_down)) over down_to_score
        + yes_tied * yes_down / (rows_down * rows_down) as precision_below,
        case
            when label = 1
                then (no_count - (rows_down - yes_down) + 0.5 * no_tied) / nullif(no_count, 0)
        end as share_of_no_below,
        case when label = 0 then (yes_down - 0.5 * yes_tied) / nullif(yes_count, 0) end
            as share_of_yes_above
    from ranked_rows
    window
        in_cell as (partition by cell_id),
        down_to_score as (partition by cell_id order by probability desc)

),

-- Newton's method for the logistic regression of the label on the logit, from the mean alone.
{% for step in range(newton_steps + 1) -%}
{%- if loop.first -%}
coefficients_0 as (

    select
        cell_id,
        ln(sum(label) / sum(1 - label)) as shift,
        cast(0 as {{ type_double() }}) as slope,
        cast(null as {{ type_double() }}) as moved,
        cast(null as {{ type_double() }}) as weight,
        cast(null as {{ type_double() }}) as weighted_logit,
        cast(null as {{ type_double() }}) as weighted_square
    from judged_rows
    group by 1
    having sum(label) > 0 and sum(1 - label) > 0 and max(logit) - min(logit) > 1e-9

),

{% else -%}
gradient_{{ step }} as (

    select
        judged_rows.cell_id,
        max(earlier.shift) as shift,
        max(earlier.slope) as slope,
        sum(judged_rows.label - {{ fit }}) as pull,
        sum((judged_rows.label - {{ fit }}) * judged_rows.logit) as pull_of_logit,
        sum({{ fit }} * (1 - {{ fit }})) as weight,
        sum({{ fit }} * (1 - {{ fit }}) * judged_rows.logit) as weighted_logit,
        sum({{ fit }} * (1 - {{ fit }}) * judged_rows.logit * judged_rows.logit)
            as weighted_square
    from judged_rows
    inner join coefficients_{{ step - 1 }} as earlier on judged_rows.cell_id = earlier.cell_id
    where abs(earlier.slope) < 1000 and (earlier.moved is null or abs(earlier.moved) >= 1e-10)
    group by 1

),

coefficients_{{ step }} as (

    select
        cell_id,
        shift + (weighted_square * pull - weighted_logit * pull_of_logit)
        / nullif(weight * weighted_square - weighted_logit * weighted_logit, 0) as shift,
        slope + (weight * pull_of_logit - weighted_logit * pull)
        / nullif(weight * weighted_square - weighted_logit * weighted_logit, 0) as slope,
        (weight * pull_of_logit - weighted_logit * pull)
        / nullif(weight * weighted_square - weighted_logit * weighted_logit, 0) as moved,
        weight,
        weighted_logit,
        weighted_square
    from gradient_{{ step }}

),

{% endif -%}
{%- endfor %}
-- each step is read twice, here and by the next, so that no planner folds them into one another
steps as (

    {% for step in range(1, newton_steps + 1) -%}
    select
        {{ step }} as step_number,
        coefficients_{{ step }}.*
    from coefficients_{{ step }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

slopes as (

    select * from (
        select
            *,
            row_number() over (partition by cell_id order by step_number desc) as place
        from steps
    ) as newest_first
    where place = 1 and abs(moved) < 1e-9

),

-- Rows of one customer hang together: what they add is summed by customer before it is squared.
clusters as (

    select
        placed_rows.cell_id,
        placed_rows.cluster_key,
        cast(count(*) as {{ type_double() }}) as row_count,
        sum(placed_rows.label) as yes_count,
        sum(placed_rows.probability) as probability,
        sum(
            -ln(
                case
                    when placed_rows.label = 1 then placed_rows.kept_probability
                    else 1 - placed_rows.kept_probability
                end
            )
        ) as log_loss,
        sum(
            (placed_rows.probability - placed_rows.label)
            * (placed_rows.probability - placed_rows.label)
        ) as squared_error,
        coalesce(sum(placed_rows.share_of_no_below), 0) as no_below,
        coalesce(sum(placed_rows.share_of_yes_above), 0) as yes_above,
        sum(placed_rows.label * placed_rows.precision_here) as precision_here,
        sum(placed_rows.label * placed_rows.below - placed_rows.precision_below) as precision_moved,
        sum(placed_rows.is_top) as top_count,
        sum(placed_rows.is_top * placed_rows.label) as top_yes_count,
        sum(placed_rows.realised_value) as realised_value,
        sum(
            (
                placed_rows.label
                - {{ logistic('(slopes.shift + slopes.slope * placed_rows.logit)') }}
            ) * (slopes.weight * placed_rows.logit - slopes.weighted_logit)
        ) / max(
            slopes.weight * slopes.weighted_square - slopes.weighted_logit * slopes.weighted_logit
        ) as slope_moved
    from placed_rows
    left join slopes on placed_rows.cell_id = slopes.cell_id
    group by 1, 2

),

figures as (

    select
        cell_id,
        sum(row_count) as row_count,
        cast(count(*) as {{ type_double() }}) as customer_count,
        sum(yes_count) as yes_count,
        sum(row_count) - sum(yes_count) as no_count,
        sum(case when yes_count > 0 then 1 else 0 end) as customers_with_yes,
        sum(case when yes_count < row_count then 1 else 0 end) as customers_with_no,
        sum(probability) as expected_yes,
        sum(log_loss) / sum(row_count) as log_loss,
        sum(squared_error) / sum(row_count) as brier,
        sum(no_below) / nullif(sum(yes_count), 0) as auc,
        sum(precision_here) / nullif(sum(yes_count), 0) as average_precision,
        sum(top_count) as top_count,
        {{ ratio('sum(top_yes_count)', 'sum(top_count)') }} as top_rate,
        sum(yes_count) / sum(row_count) as realised_rate,
        sum(realised_value) as realised_value
    from clusters
    group by 1

),

-- By how much each customer moves each figure: their squares add up to its variance.
influences as (

    select
        clusters.cell_id,
        (clusters.yes_count - figures.realised_rate * clusters.row_count) / figures.row_count
            as rate_moved,
        (clusters.log_loss - figures.log_loss * clusters.row_count) / figures.row_count
            as log_loss_moved,
        (clusters.squared_error - figures.brier * clusters.row_count) / figures.row_count
            as brier_moved,
        (clusters.no_below - figures.auc * clusters.yes_count) / nullif(figures.yes_count, 0)
        + (clusters.yes_above - figures.auc * (clusters.row_count - clusters.yes_count))
        / nullif(figures.no_count, 0) as auc_moved,
        (
            clusters.precision_here - figures.average_precision * clusters.yes_count
            + clusters.precision_moved
        ) / nullif(figures.yes_count, 0) as average_precision_moved,
        (clusters.top_yes_count - figures.top_rate * clusters.top_count)
        / nullif(figures.top_count * figures.realised_rate, 0)
        - figures.top_rate * (clusters.yes_count - figures.realised_rate * clusters.row_count)
        / nullif(figures.realised_rate * figures.realised_rate * figures.row_count, 0)
            as lift_moved,
        clusters.realised_value - figures.realised_value / figures.customer_count as value_moved,
        clusters.slope_moved
    from clusters
    inner join figures on clusters.cell_id = figures.cell_id

),

standard_errors as (

    select
        cell_id,
        {%- for figure in [
            'rate', 'log_loss', 'brier', 'auc', 'average_precision', 'lift', 'value', 'slope',
        ] %}
        sqrt(
            sum({{ figure }}_moved * {{ figure }}_moved)
            * {{ ratio('count(*)', 'count(*) - 1') }}
        ) as {{ figure }}_error,
        {%- endfor %}
        count(*) as cluster_count
    from influences
    group by 1

),

measured as (

    select
        figures.*,
        standard_errors.rate_error,
        standard_errors.log_loss_error,
        standard_errors.brier_error,
        standard_errors.auc_error,
        standard_errors.average_precision_error,
        standard_errors.lift_error,
        standard_errors.value_error,
        standard_errors.slope_error,
        slopes.slope,
        {{ ratio('figures.top_rate', 'figures.realised_rate') }} as lift,
        -- rows that would be worth as much if no two belonged to one customer
        case
            when standard_errors.rate_error > 0
                then
                    least(
                        figures.row_count,
                        figures.realised_rate * (1 - figures.realised_rate)
                        / (standard_errors.rate_error * standard_errors.rate_error)
                    )
            else figures.customer_count
        end as effective_rows,
        figures.customers_with_yes >= {{ fewest_customers }}
        and figures.customers_with_no >= {{ fewest_customers }} as has_both,
        figures.customer_count >= {{ fewest_customers }} as has_enough
    from figures
    inner join standard_errors on figures.cell_id = standard_errors.cell_id
    left join slopes on figures.cell_id = slopes.cell_id

),

final as (

    select
        cells.run_id,
        cells.score_kind,
        cells.cut_by as segment_kind,
        cells.cut as segment,
        cast(measured.row_count as integer) as row_count,
        cast(measured.customer_count as integer) as customer_count,
        cast(measured.yes_count as integer) as realised_count,
        measured.expected_yes as expected_count,
        measured.realised_rate,
        case
            when measured.has_enough
                then {{ wilson_bound('measured.realised_rate', 'measured.effective_rows', '-') }}
        end as realised_rate_low,
        case
            when measured.has_enough
                then {{ wilson_bound('measured.realised_rate', 'measured.effective_rows', '+') }}
        end as realised_rate_high,
        measured.expected_yes / measured.row_count as expected_rate,
        {{ with_interval('auc', 'measured.auc', 'measured.auc_error', 'measured.has_both', 0, 1) }},
        {{ with_interval(
            'average_precision', 'measured.average_precision', 'measured.average_precision_error',
            'measured.has_both', 0, 1,
        ) }},
        {{ with_interval(
            'log_loss', 'measured.log_loss', 'measured.log_loss_error', 'measured.has_enough', 0
        ) }},
        {{ with_interval(
            'brier', 'measured.brier', 'measured.brier_error', 'measured.has_enough', 0, 1
        ) }},
        {{ with_interval(
            'calibration_slope', 'measured.slope', 'measured.slope_error', 'measured.has_both'
        ) }},
        {{ with_interval('lift', 'measured.lift', 'measured.lift_error', 'measured.has_both', 0) }},
        cells.expected_value,
        {{ with_interval(
            'realised_value', 'measured.realised_value', 'measured.value_error',
            'measured.has_enough', 0
        ) }},
        cells.label_known_at
    from measured
    inner join cells on measured.cell_id = cells.cell_id

)

select * from final
