-- Queries to start with, for any tool. Each runs as smartretail_bi. `%` stands in no query: some tools read it as theirs.

-- Whom to write to this week, and why
select
    customer_id, segment, suggested_action, what_to_do, order_habit_value_at_risk,
    top_products, order_habit_reasons
from marts.customers
where suggested_action in ('remind', 'win back') and not is_holdout
order by order_habit_value_at_risk desc
limit 20;

-- Expected reorders and revenue at risk, by segment
select
    segment,
    count(*) as customers,
    sum(order_habit_probability) as predicted_reorders,
    sum((1 - order_habit_probability) * average_order_value) as revenue_at_risk
from marts.customers
group by segment
order by revenue_at_risk desc;

-- Do predictions come true? Only windows that have closed have rows
select
    as_of_date, band, count(*) as customers,
    avg(probability) as predicted_rate, avg(reordered) as realised_rate
from marts.order_habit_outcomes
group by as_of_date, band
order by as_of_date, predicted_rate desc;

-- What acting brings: the same band, with and without
select band, is_holdout, count(*) as customers, avg(reordered) as realised_rate
from marts.order_habit_outcomes
group by band, is_holdout
order by band, is_holdout;

-- Open order lines on which acting pays
select order_id, line_id, product_id, band, expected_return_cost, expected_saving, what_to_do
from marts.return_risk
where suggested_action = 'intervene' and not is_holdout
order by expected_saving desc
limit 50;

-- Potential revenue, by category
select category, sum(probability * item_price) as potential_revenue
from marts.purchase_potential
where item_level = 'product'
group by category
order by potential_revenue desc;
