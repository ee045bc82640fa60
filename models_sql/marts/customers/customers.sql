with customers_rows as (

    select * from {{ ref('customers_rows') }}

),

order_habit_rows as (

    select * from {{ ref('order_habit_rows') }}

),

items_rows as (

    select * from {{ ref('customers_items_rows') }}

),

returns_rows as (

    select * from {{ ref('customers_returns_rows') }}

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

items_in_force as (

    select items_rows.*
    from items_rows
    inner join runs_in_force
        on
            items_rows.run_id = runs_in_force.run_id
            and runs_in_force.prediction = 'purchase_potential'

),

returns_in_force as (

    select returns_rows.*
    from returns_rows
    inner join runs_in_force
        on
            returns_rows.run_id = runs_in_force.run_id
            and runs_in_force.prediction = 'return_risk'

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
        customers_in_force.run_id,
        customers_in_force.segment,
        customers_in_force.value_decile,
        customers_in_force.is_holdout,
        order_habit_in_force.suggested_action,
        order_habit_in_force.what_to_do,
        order_habit_in_force.expected_value as order_habit_expected_value,
        order_habit_in_force.value_at_risk as order_habit_value_at_risk,
        order_habit_in_force.reasons_text as order_habit_reasons,
        order_habit_in_force.label_known_at as order_habit_label_known_at,
        items_in_force.top_product_id,
        items_in_force.top_product_name,
        items_in_force.top_product_probability,
        items_in_force.top_product_band,
        items_in_force.top_products,
        items_in_force.top_category,
        items_in_force.top_category_probability,
        items_in_force.top_categories,
        items_in_force.expected_value as purchase_potential_expected_value,
        items_in_force.reasons_text as purchase_potential_reasons,
        items_in_force.horizon_days as purchase_potential_horizon_days,
        items_in_force.as_of_date as purchase_potential_as_of_date,
        items_in_force.model_version as purchase_potential_model_version,
        items_in_force.scored_at as purchase_potential_scored_at,
        items_in_force.label_known_at as purchase_potential_label_known_at,
        items_in_force.run_id as purchase_potential_run_id,
        returns_in_force.open_lines as return_risk_open_lines,
        returns_in_force.lines_to_act_on as return_risk_lines_to_act_on,
        returns_in_force.open_value as return_risk_open_value,
        returns_in_force.expected_returns as return_risk_expected_returns,
        returns_in_force.highest_probability as return_risk_highest_probability,
        returns_in_force.expected_return_cost as return_risk_expected_cost,
        returns_in_force.decile as return_risk_decile,
        returns_in_force.as_of_date as return_risk_as_of_date,
        returns_in_force.model_version as return_risk_model_version,
        returns_in_force.scored_at as return_risk_scored_at,
        returns_in_force.label_known_at as return_risk_label_known_at,
        returns_in_force.run_id as return_risk_run_id
    from customers_in_force
    left join order_habit_in_force
        on customers_in_force.customer_id = order_habit_in_force.customer_id
    left join items_in_force
        on customers_in_force.customer_id = items_in_force.customer_id
    left join returns_in_force
        on customers_in_force.customer_id = returns_in_force.customer_id

)

select * from final
