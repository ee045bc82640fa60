{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    schema='mart_rows',
    full_refresh=false,
    pre_hook="{{ join_by_hash() }}",
    tags=['outcomes'],
    indexes=[{'columns': ['run_id', 'customer_id']}],
) }}

{%- set attribute = segment_attribute(ref('feat_order_habit')) %}

with closed_windows as (

    select {{ add_days('newest_on', 1) }} as closed_until
    from {{ ref('int_data_window') }}

),

-- A window has outcomes for all of its rows or for none: a run is settled at once, and those that
-- wait cost nothing until then.
runs as (

    select runs.*
    from {{ source('predictions', 'runs') }} as runs
    cross join closed_windows
    where
        {{ label_known_at('runs.as_of_date', window_to_settle('runs')) }}
        <= closed_windows.closed_until
        and {{ is_missing('runs', ['run_id']) }}

),

order_features as (

    select * from {{ ref('feat_order_habit') }}
    where as_of_date in (select runs.as_of_date from runs)

),

orders as (

    select * from {{ ref('int_orders') }}
    where customer_id is not null

),

order_labels as (

    select * from {{ ref('label_order_habit') }}
    where as_of_date in (select runs.as_of_date from runs)

),

purchase_labels as (

    select * from {{ ref('label_purchase_potential') }}
    where as_of_date in (select runs.as_of_date from runs)

),

return_labels as (

    select * from {{ ref('label_return_risk') }}

),

order_habit_rows as (

    select * from {{ ref('order_habit_rows') }}

),

purchase_potential_rows as (

    select * from {{ ref('purchase_potential_rows') }}

),

return_risk_rows as (

    select * from {{ ref('return_risk_rows') }}

),

lines as (

    select * from {{ ref('feat_return_risk') }}

),

customer_facts as (

    select
        customer_id,
        as_of_date,
        monetary_average_order_value,
        case when frequency_order_days_total = 1 then 'new' else 'repeat' end as customer_kind,
        ntile(10) over (
            partition by as_of_date
            order by monetary_spend_365d desc, monetary_spend_total desc, customer_id asc
        ) as value_decile,
        {{ attribute or 'cast(null as ' ~ dbt.type_string() ~ ')' }} as customer_group
    from order_features

),

order_windows as (

    select distinct
        as_of_date,
        horizon_days
    from runs
    where prediction = 'order_habit'

),

window_sales as (

    select
        order_windows.as_of_date,
        order_windows.horizon_days,
        orders.customer_id,
        count(*) as order_count,
        sum(orders.net_amount) as net_amount
    from order_windows
    inner join orders
        on {{ in_label_window('orders', 'order_windows.as_of_date', 'order_windows.horizon_days') }}
    group by 1, 2, 3

),

settled_customers as (

    select
        scores.run_id,
        'customer' as score_kind,
        scores.customer_id,
        cast(null as {{ dbt.type_string() }}) as order_id,
        cast(null as {{ dbt.type_string() }}) as item_id,
        cast(null as {{ dbt.type_string() }}) as line_key,
        cast(null as {{ dbt.type_string() }}) as category,
        scores.probability,
        labels.label,
        labels.label_known_at,
        scores.value_at_stake,
        -- an order of the window, at the margin that the stake was reckoned with
        labels.label * coalesce(
            {{ ratio('window_sales.net_amount', 'window_sales.order_count') }}
            * {{ ratio('scores.value_at_stake', 'customer_facts.monetary_average_order_value') }},
            0
        ) as realised_value,
        coalesce(window_sales.net_amount, 0) as realised_amount,
        scores.decile,
        scores.band,
        scores.segment,
        scores.suggested_action,
        scores.is_holdout
    from runs
    inner join order_habit_rows as scores on runs.run_id = scores.run_id
    inner join order_labels as labels
        on
            scores.customer_id = labels.customer_id
            and scores.as_of_date = labels.as_of_date
            and scores.horizon_days = labels.horizon_days
    left join window_sales
        on
            scores.customer_id = window_sales.customer_id
            and scores.as_of_date = window_sales.as_of_date
            and scores.horizon_days = window_sales.horizon_days
    left join customer_facts
        on
            scores.customer_id = customer_facts.customer_id
            and scores.as_of_date = customer_facts.as_of_date
    where runs.prediction = 'order_habit'

),

-- Labels of pairs are the purchases alone: one of a window says that its labels are there.
labelled_windows as (

    select distinct
        as_of_date,
        horizon_days,
        label_known_at
    from purchase_labels

),

settled_pairs as (

    select
        scores.run_id,
        scores.item_level as score_kind,
        scores.customer_id,
        cast(null as {{ dbt.type_string() }}) as order_id,
        scores.item_id,
        cast(null as {{ dbt.type_string() }}) as line_key,
        scores.category,
        scores.probability,
        coalesce(labels.label, 0) as label,
        labelled_windows.label_known_at,
        scores.value_at_stake,
        coalesce(labels.label, 0) * scores.value_at_stake as realised_value,
        coalesce(labels.label * scores.item_price, 0) as realised_amount,
        scores.decile,
        scores.band,
        cast(null as {{ dbt.type_string() }}) as segment,
        scores.suggested_action,
        scores.is_holdout
    from runs
    inner join labelled_windows
        on
            runs.as_of_date = labelled_windows.as_of_date
            and runs.horizon_days = labelled_windows.horizon_days
    inner join purchase_potential_rows as scores on runs.run_id = scores.run_id
    left join purchase_labels as labels
        on
            scores.customer_id = labels.customer_id
            and scores.item_level = labels.item_level
            and scores.item_id = labels.item_id
            and scores.as_of_date = labels.as_of_date
            and scores.horizon_days = labels.horizon_days
    where runs.prediction = 'purchase_potential'

),

scored_lines as (

    select
        scores.*,
        lines.category_name,
        labels.label,
        labels.label_known_at as known_from,
        {{ days_between('lines.ordered_on', 'scores.as_of_date') }} as age_days
    from runs
    inner join return_risk_rows as scores on runs.run_id = scores.run_id
    inner join return_labels as labels
        on
            scores.line_key = labels.line_key
            and scores.horizon_days = labels.horizon_days
    inner join lines on scores.line_key = lines.line_key
    where runs.prediction = 'return_risk'

),

-- An open line has not come back so far, and is judged by what was said of it then. What was said
-- when it was ordered is judged on lines of the day before, which hardly any return has left yet.
judged_lines as (

    select
        scored_lines.*,
        'line' as score_kind,
        coalesce(scored_lines.probability_still, scored_lines.probability_at_order) as probability
    from scored_lines

    union all

    select
        scored_lines.*,
        'line_at_order' as score_kind,
        scored_lines.probability_at_order as probability
    from scored_lines
    where scored_lines.age_days = 1

),

settled_lines as (

    select
        run_id,
        score_kind,
        customer_id,
        order_id,
        product_id as item_id,
        line_key,
        category_name as category,
        probability,
        label,
        known_from as label_known_at,
        line_value as value_at_stake,
        label * line_value as realised_value,
        label * line_value as realised_amount,
        decile,
        band,
        cast(null as {{ dbt.type_string() }}) as segment,
        suggested_action,
        is_holdout
    from judged_lines

),

settled_scores as (

    select * from settled_customers
    union all
    select * from settled_pairs
    union all
    select * from settled_lines

),

settled_at as (

    select {{ utc_now() }} as settled_at

),

final as (

    select
        settled_scores.run_id,
        runs.prediction,
        settled_scores.score_kind,
        settled_scores.customer_id,
        settled_scores.order_id,
        settled_scores.item_id,
        settled_scores.line_key,
        settled_scores.category,
        runs.as_of_date,
        runs.horizon_days,
        settled_scores.probability,
        cast(settled_scores.label as integer) as label,
        settled_scores.label_known_at,
        settled_scores.value_at_stake,
        settled_scores.probability * settled_scores.value_at_stake as expected_value,
        settled_scores.realised_value,
        settled_scores.realised_amount,
        settled_scores.decile,
        settled_scores.band,
        settled_scores.segment,
        settled_scores.suggested_action,
        settled_scores.is_holdout,
        case
            when settled_scores.customer_id is null then 'guest'
            else customer_facts.customer_kind
        end as customer_kind,
        case
            when customer_facts.value_decile = 1 then 'top tenth'
            when customer_facts.value_decile <= 5 then 'upper half'
            when customer_facts.value_decile > 5 then 'lower half'
        end as value_band,
        '{{ attribute or "" }}' as customer_group_name,
        customer_facts.customer_group,
        runs.recipe,
        runs.bundle_id as model_version,
        settled_at.settled_at
    from settled_scores
    inner join runs on settled_scores.run_id = runs.run_id
    cross join settled_at
    left join customer_facts
        on
            settled_scores.customer_id = customer_facts.customer_id
            and runs.as_of_date = customer_facts.as_of_date

)

select * from final
