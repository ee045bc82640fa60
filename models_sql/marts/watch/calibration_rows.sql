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

with runs as (

    {{ runs_not_there_yet() }}

),

outcomes as (

    select
        outcomes.run_id,
        outcomes.score_kind,
        coalesce(outcomes.customer_id, outcomes.order_id) as cluster_key,
        outcomes.probability,
        outcomes.label,
        -- 1 holds the tenth that is the likeliest
        ntile(10) over (
            partition by outcomes.run_id, outcomes.score_kind
            order by
                outcomes.probability desc,
                outcomes.line_key asc,
                outcomes.customer_id asc,
                outcomes.item_id asc
        ) as decile
    from {{ ref('prediction_outcomes_rows') }} as outcomes
    where {{ is_one_of_few('outcomes.run_id', 'select runs.run_id from runs') }}

),

clusters as (

    select
        run_id,
        score_kind,
        decile,
        cluster_key,
        cast(count(*) as {{ type_double() }}) as row_count,
        cast(sum(label) as {{ type_double() }}) as yes_count,
        sum(probability) as probability,
        min(probability) as lowest,
        max(probability) as highest
    from outcomes
    group by 1, 2, 3, 4

),

deciles as (

    select
        run_id,
        score_kind,
        decile,
        sum(row_count) as row_count,
        count(*) as customer_count,
        sum(yes_count) as yes_count,
        sum(probability) / sum(row_count) as mean_probability,
        min(lowest) as lowest_probability,
        max(highest) as highest_probability,
        sum(yes_count) / sum(row_count) as realised_rate
    from clusters
    group by 1, 2, 3

),

spreads as (

    select
        clusters.run_id,
        clusters.score_kind,
        clusters.decile,
        sum(
            (clusters.yes_count - deciles.realised_rate * clusters.row_count)
            * (clusters.yes_count - deciles.realised_rate * clusters.row_count)
        ) / max(deciles.row_count * deciles.row_count) as variance
    from clusters
    inner join deciles
        on
            clusters.run_id = deciles.run_id
            and clusters.score_kind = deciles.score_kind
            and clusters.decile = deciles.decile
    group by 1, 2, 3

),

weighed as (

    select
        deciles.*,
        -- rows that would be worth as much if no two belonged to one customer
        case
            when spreads.variance > 0
                then
                    least(
                        deciles.row_count,
                        deciles.realised_rate * (1 - deciles.realised_rate) / spreads.variance
                    )
            else deciles.customer_count
        end as effective_rows
    from deciles
    inner join spreads
        on
            deciles.run_id = spreads.run_id
            and deciles.score_kind = spreads.score_kind
            and deciles.decile = spreads.decile

),

final as (

    select
        run_id,
        score_kind,
        cast(decile as integer) as decile,
        cast(row_count as integer) as row_count,
        cast(customer_count as integer) as customer_count,
        cast(yes_count as integer) as realised_count,
        mean_probability,
        lowest_probability,
        highest_probability,
        realised_rate,
        {{ wilson_bound('realised_rate', 'effective_rows', '-') }} as realised_rate_low,
        {{ wilson_bound('realised_rate', 'effective_rows', '+') }} as realised_rate_high
    from weighed

)

select * from final
