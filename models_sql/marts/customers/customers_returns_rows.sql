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
        runs.prediction = 'return_risk'
        and {{ is_missing('runs', ['run_id']) }}

),

open_lines as (

    select open_lines.*
    from {{ ref('return_risk_rows') }} as open_lines
    inner join runs on open_lines.run_id = runs.run_id
    where open_lines.customer_id is not null

),

final as (

    select
        run_id,
        customer_id,
        cast(count(*) as integer) as open_lines,
        cast(count(*) filter (where suggested_action = 'intervene') as integer) as lines_to_act_on,
        sum(line_value) as open_value,
        sum(coalesce(probability_still, probability_at_order)) as expected_returns,
        max(coalesce(probability_still, probability_at_order)) as highest_probability,
        sum(expected_return_cost) as expected_return_cost,
        min(decile) as decile,
        max(as_of_date) as as_of_date,
        max(model_version) as model_version,
        max(scored_at) as scored_at,
        max(label_known_at) as label_known_at
    from open_lines
    group by run_id, customer_id

)

select * from final
