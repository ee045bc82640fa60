{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    indexes=[{'columns': ['run_id', 'customer_id']}, {'columns': ['run_id', 'item_id']}],
) }}

with scores as (

    select * from {{ source('predictions', 'purchase_potential') }}

),

runs as (

    select runs.* from {{ source('predictions', 'runs') }} as runs
    where
        runs.prediction = 'purchase_potential'
        {%- if is_incremental() %}
        and runs.run_id not in (select distinct present.run_id from {{ this }} as present)
        {%- endif %}

),

products as (

    select * from {{ ref('int_products') }}

),

final as (

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
        scores.label_known_at
    from scores
    inner join runs on scores.run_id = runs.run_id
    left join products
        on
            scores.item_level = 'product'
            and scores.item_id = products.product_id
            and {{ version_known_before('products', 'scores.as_of_date') }}

)

select * from final
