{{ config(tags=['outcomes']) }}

with outcomes as (

    select * from {{ ref('prediction_outcomes') }}
    where prediction = 'order_habit' and is_last_published

),

final as (

    select
        customer_id,
        as_of_date,
        horizon_days,
        probability,
        decile,
        band,
        segment,
        value_at_stake,
        expected_value,
        suggested_action,
        is_holdout,
        label as reordered,
        label_known_at,
        recipe,
        model_version,
        run_id,
        published_at
    from outcomes

)

select * from final
