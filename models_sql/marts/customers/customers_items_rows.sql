{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    indexes=[{'columns': ['run_id', 'customer_id']}],
) }}

with runs as (

    select runs.* from {{ source('predictions', 'runs') }} as runs
    where
        runs.prediction = 'purchase_potential'
        and {{ is_missing('runs', ['run_id']) }}

),

pairs as (

    select pairs.*
    from {{ ref('purchase_potential_rows') }} as pairs
    inner join runs on pairs.run_id = runs.run_id

),

final as (

    select
        run_id,
        customer_id,
        max(item_id) filter (where item_level = 'product' and item_rank = 1) as top_product_id,
        max(product_name) filter (where item_level = 'product' and item_rank = 1)
            as top_product_name,
        max(probability) filter (where item_level = 'product' and item_rank = 1)
            as top_product_probability,
        max(band) filter (where item_level = 'product' and item_rank = 1) as top_product_band,
        {{ listed(
            'coalesce(product_name, item_id)', 'item_rank',
            "item_level = 'product' and item_rank <= 5",
        ) }} as top_products,
        max(item_id) filter (where item_level = 'category' and item_rank = 1) as top_category,
        max(probability) filter (where item_level = 'category' and item_rank = 1)
            as top_category_probability,
        {{ listed('item_id', 'item_rank', "item_level = 'category' and item_rank <= 3") }}
            as top_categories,
        sum(expected_value) filter (where item_level = 'product') as expected_value,
        max(reasons_text) filter (where item_level = 'product' and item_rank = 1) as reasons_text,
        max(as_of_date) as as_of_date,
        max(horizon_days) as horizon_days,
        max(model_version) as model_version,
        max(scored_at) as scored_at,
        max(label_known_at) as label_known_at
    from pairs
    group by run_id, customer_id

)

select * from final
