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
        runs.prediction = 'order_habit'
        {%- if is_incremental() %}
        and runs.run_id not in (select distinct present.run_id from {{ this }} as present)
        {%- endif %}

),

labels as (

    select * from {{ ref('label_order_habit') }}

),

-- a window has labels for all of its customers or for none: a run is settled at once, and those
-- that wait cost nothing until then
closed_windows as (

    select distinct
        as_of_date,
        horizon_days
    from labels

),

scores as (

    select scores.*
    from {{ source('predictions', 'order_habit') }} as scores
    inner join runs on scores.run_id = runs.run_id
    inner join closed_windows
        on
            runs.as_of_date = closed_windows.as_of_date
            and runs.horizon_days = closed_windows.horizon_days

),

final as (

    select
        scores.run_id,
        scores.customer_id,
        labels.label,
        labels.label_known_at
    from scores
    inner join labels
        on
            scores.customer_id = labels.customer_id
            and scores.as_of_date = labels.as_of_date
            and scores.horizon_days = labels.horizon_days

)

select * from final
