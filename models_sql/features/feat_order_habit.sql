{{ config(indexes=[{'columns': ['as_of_date', 'customer_id']}]) }}

{%- set windows = [7, 30, 90, 180, 365] %}
{%- set half_lives = [30, 90, 365] %}
{%- set seasons = {
    1: 'december_to_february', 2: 'march_to_may', 3: 'june_to_august', 4: 'september_to_november',
} %}
{%- set attributes = attribute_features(
    ref('int_customers'), 'customer_spans', 'date_totals.as_of_date'
) %}

with as_of_dates as (

    {{ missing_as_of_dates('order_habit') }}

),

orders as (

    select
        *,
        {{ month_of('ordered_on') }} as order_month,
        {{ iso_weekday('ordered_on') }} as order_weekday
    from {{ ref('int_orders') }}
    where customer_id is not null

),

variety as (

    select * from {{ ref('int_customer_variety') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

asked as (

    select
        min(as_of_date) as first_date,
        max(as_of_date) as last_date
    from as_of_dates

),

-- Days on which the orders of a customer, or what is known of them, changed.
changed_days as (

    select
        customer_id,
        greatest(ordered_on, known_on) as changed_on
    from orders

    union all

    select
        customer_id,
        greatest(ordered_on, superseded_on) as changed_on
    from orders
    where superseded_on is not null

    union all

    select
        customer_id,
        changed_on
    from variety

    union all

    select
        customer_id,
        known_on as changed_on
    from customers

    union all

    select
        customer_id,
        superseded_on as changed_on
    from customers
    where superseded_on is not null

),

later_changes as (

    select distinct
        changed_days.customer_id,
        changed_days.changed_on
    from changed_days
    cross join asked
    where
        {{ change_known_before('changed_days', 'asked.last_date') }}
        and not {{ change_known_before('changed_days', 'asked.first_date') }}

),

dates_after as (

    select
        distinct_days.changed_on,
        min(as_of_dates.as_of_date) as as_of_date
    from (select distinct changed_on from later_changes) as distinct_days
    inner join as_of_dates on {{ change_known_before('distinct_days', 'as_of_dates.as_of_date') }}
    group by 1

),

-- The first as-of date of all, and the first after each change. What does not hang on the date is
-- worked out for these alone, and holds until the next of them.
customer_changes as (

    select distinct
        orders.customer_id,
        asked.first_date as from_date
    from orders
    cross join asked

    union

    select
        later_changes.customer_id,
        dates_after.as_of_date as from_date
    from later_changes
    inner join dates_after on later_changes.changed_on = dates_after.changed_on

),

customer_variety as (

    select
        customer_changes.customer_id,
        customer_changes.from_date,
        sum(variety.product_change) as products,
        sum(variety.category_change) as categories
    from customer_changes
    inner join variety
        on
            customer_changes.customer_id = variety.customer_id
            and {{ change_known_before('variety', 'customer_changes.from_date') }}
    group by 1, 2

),

known_orders as (

    select
        customer_changes.from_date,
        orders.customer_id,
        orders.ordered_on,
        orders.line_count,
        orders.quantity,
        orders.gross_amount,
        orders.net_amount,
        orders.returned_line_count,
        orders.returned_amount,
        orders.order_month,
        orders.order_weekday,
        lag(orders.ordered_on) over customer_orders as previous_on,
        first_value(orders.ordered_on) over customer_orders as first_on,
        last_value(orders.ordered_on) over (
            partition by customer_changes.from_date, orders.customer_id order by orders.ordered_on
            rows between unbounded preceding and unbounded following
        ) as last_on
    from customer_changes
    inner join orders
        on
            customer_changes.customer_id = orders.customer_id
            and {{ known_before('orders', 'customer_changes.from_date') }}
    window customer_orders as (
        partition by customer_changes.from_date, orders.customer_id order by orders.ordered_on
    )

),

-- Several orders on one day share it: the gap belongs to the first of them.
orders_with_gaps as (

    select
        *,
        nullif({{ days_between('previous_on', 'ordered_on') }}, 0) as gap_days
    from known_orders

),

customer_totals as (

    select
        customer_id,
        from_date,
        min(first_on) as first_on,
        max(last_on) as last_on,

        -- frequency
        count(*) as orders_total,
        count(gap_days) + 1 as order_days,

        -- monetary
        sum(net_amount) as spend_total,
        stddev_samp(net_amount) as order_value_sd,
        max(net_amount) as largest_order_value,
        sum(net_amount) filter (where ordered_on = last_on) as last_day_spend,

        -- rhythm
        stddev_samp(cast(gap_days as {{ type_double() }})) as gap_sd_days,
        max(gap_days) as longest_gap_days,
        max(gap_days) filter (where ordered_on = last_on) as last_gap_days,
        {%- for weekday in range(1, 8) %}
        count(*) filter (where order_weekday = {{ weekday }}) as weekday_{{ weekday }},
        {%- endfor %}

        -- season
        {%- for month in range(1, 13) %}
        count(*) filter (where order_month = {{ month }}) as month_{{ month }},
        {%- endfor %}

        -- basket and returns
        sum(line_count) as lines_total,
        sum(quantity) as units,
        sum(gross_amount) as gross_total,
        sum(returned_line_count) as returned_lines,
        sum(returned_amount) as returned_amount,

        -- first order day
        sum(net_amount) filter (where ordered_on = first_on) as first_day_spend,
        sum(gross_amount) filter (where ordered_on = first_on) as first_day_gross,
        sum(line_count) filter (where ordered_on = first_on) as first_day_lines
    from orders_with_gaps
    group by 1, 2

),

customer_spans as (

    select
        customer_totals.*,
        customer_totals.month_12 + customer_totals.month_1 + customer_totals.month_2 as season_1,
        customer_totals.month_3 + customer_totals.month_4 + customer_totals.month_5 as season_2,
        customer_totals.month_6 + customer_totals.month_7 + customer_totals.month_8 as season_3,
        customer_totals.month_9 + customer_totals.month_10 + customer_totals.month_11 as season_4,
        customer_variety.products,
        {%- for attribute in attributes %}
        customers.{{ attribute.column }},
        {%- endfor %}
        customer_variety.categories,
        lead(customer_changes.from_date) over (
            partition by customer_changes.customer_id order by customer_changes.from_date
        ) as until_date
    from customer_changes
    left join customer_totals
        on
            customer_changes.customer_id = customer_totals.customer_id
            and customer_changes.from_date = customer_totals.from_date
    left join customer_variety
        on
            customer_changes.customer_id = customer_variety.customer_id
            and customer_changes.from_date = customer_variety.from_date
    left join customers
        on
            customer_changes.customer_id = customers.customer_id
            and {{ version_known_before('customers', 'customer_changes.from_date') }}

),

orders_by_age as (

    select
        as_of_dates.as_of_date,
        orders.customer_id,
        orders.ordered_on,
        orders.net_amount,
        {{ days_between('orders.ordered_on', 'as_of_dates.as_of_date') }} as age_days
    from as_of_dates
    inner join orders on {{ known_before('orders', 'as_of_dates.as_of_date') }}

),

date_totals as (

    select
        customer_id,
        as_of_date,

        -- frequency
        {%- for days in windows %}
        count(*) filter (where age_days <= {{ days }}) as orders_{{ days }}d,
        {%- endfor %}
        {%- for days in half_lives %}
        sum({{ decay('age_days', days) }}) as decayed_{{ days }}d,
        {%- endfor %}

        -- monetary
        {%- for days in windows %}
        coalesce(sum(net_amount) filter (where age_days <= {{ days }}), 0) as spend_{{ days }}d,
        {%- endfor %}
        sum(net_amount * {{ decay('age_days', 90) }}) as decayed_spend_90d,

        -- season
        count(*) filter (where {{ in_past_window('ordered_on', 'as_of_date', 365, 90) }})
            as orders_year_ago_90d,
        count(*) filter (where {{ in_past_window('ordered_on', 'as_of_date', 365, 180) }})
            as orders_year_ago_180d
    from orders_by_age
    group by 1, 2

),

customer_facts as (

    select
        customer_spans.*,
        date_totals.as_of_date,
        {{ days_between('customer_spans.last_on', 'date_totals.as_of_date') }} as days_since_last,
        {{ days_between('customer_spans.first_on', 'date_totals.as_of_date') }} as days_since_first,
        {%- for attribute in attributes if attribute.name != attribute.column %}
        {{ attribute.sql }} as {{ attribute.name }},
        {%- endfor %}
        {%- for days in windows %}
        date_totals.orders_{{ days }}d,
        date_totals.spend_{{ days }}d,
        {%- endfor %}
        {%- for days in half_lives %}
        date_totals.decayed_{{ days }}d,
        {%- endfor %}
        date_totals.decayed_spend_90d,
        date_totals.orders_year_ago_90d,
        date_totals.orders_year_ago_180d
    from date_totals
    inner join customer_spans
        on
            date_totals.customer_id = customer_spans.customer_id
            and {{ in_span('date_totals.as_of_date', 'customer_spans') }}

),

final as (

    select
        customer_id,
        as_of_date,

        -- recency
        cast(days_since_last as integer) as recency_days,
        cast(days_since_first as integer) as recency_tenure_days,
        {{ ratio('days_since_last', 'days_since_first') }} as recency_over_tenure,
        {{ ratio('days_since_last * (order_days - 1)', 'days_since_first - days_since_last') }}
            as recency_over_mean_gap,
        {{ ratio('days_since_last', 'longest_gap_days') }} as recency_over_longest_gap,

        -- frequency
        cast(orders_total as integer) as frequency_orders_total,
        {%- for days in windows %}
        cast(orders_{{ days }}d as integer) as frequency_orders_{{ days }}d,
        {%- endfor %}
        cast(order_days as integer) as frequency_order_days_total,
        {%- for days in half_lives %}
        decayed_{{ days }}d as frequency_decayed_{{ days }}d,
        {%- endfor %}
        {{ ratio('orders_total * 30.4375', 'greatest(days_since_first, 30.4375)') }}
            as frequency_orders_per_month,
        cast(2 * orders_90d - orders_180d as integer) as frequency_trend_90d,
        {{ ratio('orders_90d', 'orders_180d') }} as frequency_share_90d_of_180d,

        -- monetary
        spend_total as monetary_spend_total,
        {%- for days in windows %}
        spend_{{ days }}d as monetary_spend_{{ days }}d,
        {%- endfor %}
        decayed_spend_90d as monetary_decayed_90d,
        {{ ratio('spend_total', 'orders_total') }} as monetary_average_order_value,
        order_value_sd * orders_total / nullif(spend_total, 0) as monetary_order_value_cv,
        largest_order_value as monetary_largest_order_value,
        last_day_spend as monetary_last_order_day_spend,
        {{ ratio('spend_total', 'days_since_first') }} as monetary_spend_per_day,
        2 * spend_90d - spend_180d as monetary_trend_90d,

        -- rhythm
        {{ ratio('days_since_first - days_since_last', 'order_days - 1') }} as rhythm_mean_gap_days,
        gap_sd_days as rhythm_gap_sd_days,
        cast(longest_gap_days as integer) as rhythm_longest_gap_days,
        cast(last_gap_days as integer) as rhythm_last_gap_days,
        {{ ratio('weekday_6 + weekday_7', 'orders_total') }} as rhythm_weekend_share,
        {{ first_of_largest('weekday_', range(1, 8)) }} as rhythm_favourite_weekday,
        {{ ratio(largest('weekday_', range(1, 8)), 'orders_total') }}
            as rhythm_favourite_weekday_share,

        -- season
        {{ month_of('as_of_date') }} as season_as_of_month,
        {{ season_of('as_of_date') }} as season_as_of_season,
        {{ ratio(
            'case ' ~ season_of('as_of_date')
            ~ ' when 1 then season_1 when 2 then season_2 when 3 then season_3 else season_4 end',
            'orders_total',
        ) }} as season_share_of_as_of_season,
        {%- for season, name in seasons.items() %}
        {{ ratio('season_' ~ season, 'orders_total') }} as season_share_{{ name }},
        {%- endfor %}
        {{ first_of_largest('month_', range(1, 13)) }} as season_favourite_month,
        {{ first_of_largest('season_', range(1, 5)) }} as season_favourite_season,
        cast(orders_year_ago_90d as integer) as season_orders_year_ago_90d,
        cast(orders_year_ago_180d as integer) as season_orders_year_ago_180d,

        -- basket
        {{ ratio('lines_total', 'orders_total') }} as basket_mean_lines,
        {{ ratio('units', 'orders_total') }} as basket_mean_units,
        {{ ratio('gross_total - spend_total', 'gross_total') }} as basket_discount_share,

        -- product and category
        cast(coalesce(products, 0) as integer) as product_distinct_total,
        {{ ratio('coalesce(products, 0)', 'lines_total') }} as product_distinct_per_line,
        cast(coalesce(categories, 0) as integer) as category_distinct_total,

        -- return
        {{ ratio('returned_lines', 'lines_total') }} as return_share_of_lines,
        {{ ratio('returned_amount', 'spend_total') }} as return_share_of_value,

        -- attribute
        {%- for attribute in attributes %}
        {{ attribute.name }},
        {%- endfor %}
        first_day_spend as attribute_first_order_value,
        cast(first_day_lines as integer) as attribute_first_order_lines,
        {{ ratio('first_day_gross - first_day_spend', 'first_day_gross') }}
            as attribute_first_order_discount_share,
        {{ month_of('first_on') }} as attribute_first_order_month,
        {{ iso_weekday('first_on') }} as attribute_first_order_weekday
    from customer_facts

)

select * from final
