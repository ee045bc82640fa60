{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    indexes=[{'columns': ['run_id', 'customer_id']}],
    post_hook="{{ index_on(['run_id', 'segment']) }}",
) }}

with runs as (

    select runs.* from {{ source('predictions', 'runs') }} as runs
    where
        runs.prediction = 'customers'
        and {{ is_missing('runs', ['run_id']) }}

),

order_features as (

    select * from {{ ref('feat_order_habit') }}

),

final as (

    select
        runs.run_id,
        order_features.customer_id,
        order_features.as_of_date,
        {{ add_days('order_features.as_of_date', '-order_features.recency_tenure_days') }}
            as first_ordered_on,
        {{ add_days('order_features.as_of_date', '-order_features.recency_days') }}
            as last_ordered_on,
        order_features.recency_days as days_since_last_order,
        order_features.frequency_orders_total as order_count,
        order_features.frequency_orders_365d as order_count_365d,
        order_features.monetary_spend_total as total_spend,
        order_features.monetary_spend_365d as spend_365d,
        order_features.monetary_average_order_value as average_order_value,
        order_features.frequency_orders_per_month as orders_per_month,
        order_features.monetary_spend_per_day as spend_per_day,
        order_features.rhythm_mean_gap_days as days_between_orders,
        order_features.season_favourite_month as favourite_month,
        order_features.season_favourite_season as favourite_season,
        order_features.product_distinct_total as distinct_products,
        order_features.return_share_of_value,
        {{ customer_segment('order_features') }} as segment,
        -- 1 holds the tenth of customers who spent most in the last year
        cast(
            ntile(10) over (
                partition by runs.run_id
                order by
                    order_features.monetary_spend_365d desc,
                    order_features.monetary_spend_total desc,
                    order_features.customer_id asc
            ) as integer
        ) as value_decile,
        {{ is_held_out('order_features.customer_id') }} as is_holdout
    from runs
    inner join order_features on runs.as_of_date = order_features.as_of_date

)

select * from final
