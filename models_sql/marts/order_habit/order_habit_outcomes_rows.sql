{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    indexes=[{'columns': ['run_id', 'customer_id']}],
) }}

with scores as (

    select * from {{ source('predictions', 'order_habit') }}
    {%- if is_incremental() %}
    where run_id not in (select distinct present.run_id from {{ this }} as present)
    {%- endif %}

),

-- a window has labels for all of its customers or for none: a run is settled at once
labels as (

    select * from {{ ref('label_order_habit') }}

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
