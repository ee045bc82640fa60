with customers_rows as (

    select * from {{ ref('customers_rows') }}

),

order_habit_rows as (

    select * from {{ ref('order_habit_rows') }}

),

runs_in_force as (

    select * from {{ ref('stg_predictions__runs_in_force') }}

),

customers_in_force as (

    select customers_rows.*
    from customers_rows
    inner join runs_in_force
        on
            customers_rows.run_id = runs_in_force.run_id
            and runs_in_force.prediction = 'customers'

),

order_habit_in_force as (

    select order_habit_rows.*
    from order_habit_rows
    inner join runs_in_force
        on
            order_habit_rows.run_id = runs_in_force.run_id
            and runs_in_force.prediction = 'order_habit'

),

final as (

    select
        customers_in_force.customer_id,
        customers_in_force.as_of_date,
        customers_in_force.first_ordered_on,
        customers_in_force.last_ordered_on,
        customers_in_force.days_since_last_order,
        customers_in_force.order_count,
        customers_in_force.order_count_365d,
        customers_in_force.total_spend,
        customers_in_force.spend_365d,
        customers_in_force.average_order_value,
        customers_in_force.orders_per_month,
        customers_in_force.spend_per_day,
        customers_in_force.days_between_orders,
        customers_in_force.favourite_month,
        customers_in_force.favourite_season,
        customers_in_force.distinct_products,
        customers_in_force.return_share_of_value,
        order_habit_in_force.probability as order_habit_probability,
        order_habit_in_force.decile as order_habit_decile,
        order_habit_in_force.band as order_habit_band,
        order_habit_in_force.horizon_days as order_habit_horizon_days,
        order_habit_in_force.as_of_date as order_habit_as_of_date,
        order_habit_in_force.model_version as order_habit_model_version,
        order_habit_in_force.scored_at as order_habit_scored_at,
        order_habit_in_force.run_id as order_habit_run_id,
        customers_in_force.run_id
    from customers_in_force
    left join order_habit_in_force
        on customers_in_force.customer_id = order_habit_in_force.customer_id

)

select * from final
