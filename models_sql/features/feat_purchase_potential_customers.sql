{{ config(indexes=[{'columns': ['as_of_date', 'customer_id']}]) }}

{%- set windows = [30, 90, 180, 365] %}

with as_of_dates as (

    {{ missing_as_of_dates('purchase_potential') }}

),

orders as (

    select * from {{ ref('int_orders') }}
    where customer_id is not null

),

customer_items as (

    select * from {{ ref('int_customer_items') }}

),

tastes as (

    select * from {{ ref('int_customer_tastes') }}

),

known_orders as (

    select
        as_of_dates.as_of_date,
        orders.customer_id,
        orders.line_count,
        orders.net_amount,
        {{ days_between('orders.ordered_on', 'as_of_dates.as_of_date') }} as age_days
    from as_of_dates
    inner join orders on {{ known_before('orders', 'as_of_dates.as_of_date') }}

),

customer_totals as (

    select
        customer_id,
        as_of_date,
        min(age_days) as days_since_last,
        max(age_days) as days_since_first,
        count(*) as orders_total,
        {%- for days in windows %}
        count(*) filter (where age_days <= {{ days }}) as orders_{{ days }}d,
        {%- endfor %}
        sum({{ decay('age_days', 90) }}) as decayed_90d,
        sum(line_count) as lines_total,
        sum(net_amount) as spend_total,
        coalesce(sum(net_amount) filter (where age_days <= 365), 0) as spend_365d
    from known_orders
    group by 1, 2

),

known_items as (

    select
        as_of_dates.as_of_date,
        customer_items.customer_id,
        customer_items.item_level = 'product' as is_product,
        {{ days_between('customer_items.known_on', 'as_of_dates.as_of_date') }} as age_days
    from as_of_dates
    inner join customer_items
        on {{ version_known_before('customer_items', 'as_of_dates.as_of_date') }}

),

customer_variety as (

    select
        customer_id,
        as_of_date,
        count(*) filter (where is_product) as products,
        count(*) filter (where not is_product) as categories,
        {%- for days in windows %}
        count(*) filter (where is_product and age_days <= {{ days }}) as new_products_{{ days }}d,
        {%- endfor %}
        count(*) filter (where not is_product and age_days <= 180) as new_categories_180d
    from known_items
    group by 1, 2

),

customer_tastes as (

    select
        tastes.customer_id,
        as_of_dates.as_of_date,
        sum(tastes.line_change) as line_count,
        sum(tastes.log_price_change) as log_price,
        sum(tastes.log_price_squared_change) as log_price_squared,
        sum(tastes.log_quantity_change) as log_quantity,
        sum(tastes.age_days_change) as age_days,
        sum(tastes.log_popularity_change) as log_popularity
    from as_of_dates
    inner join tastes on {{ change_known_before('tastes', 'as_of_dates.as_of_date') }}
    group by 1, 2

),

customer_facts as (

    select
        customer_totals.*,
        customer_variety.products,
        customer_variety.categories,
        {%- for days in windows %}
        customer_variety.new_products_{{ days }}d,
        {%- endfor %}
        customer_variety.new_categories_180d,
        customer_tastes.line_count,
        customer_tastes.log_quantity,
        customer_tastes.age_days,
        customer_tastes.log_popularity,
        {{ ratio('customer_tastes.log_price', 'customer_tastes.line_count') }} as mean_log_price,
        {{ ratio('customer_tastes.log_price_squared', 'customer_tastes.line_count') }}
            as mean_log_price_squared
    from customer_totals
    left join customer_variety
        on
            customer_totals.customer_id = customer_variety.customer_id
            and customer_totals.as_of_date = customer_variety.as_of_date
    left join customer_tastes
        on
            customer_totals.customer_id = customer_tastes.customer_id
            and customer_totals.as_of_date = customer_tastes.as_of_date

),

price_spreads as (

    select
        *,
        mean_log_price_squared - mean_log_price * mean_log_price as log_price_variance
    from customer_facts

),

final as (

    select
        customer_id,
        as_of_date,

        -- recency
        cast(days_since_last as integer) as recency_days,
        cast(days_since_first as integer) as recency_tenure_days,

        -- frequency
        cast(orders_total as integer) as frequency_orders_total,
        {%- for days in windows %}
        cast(orders_{{ days }}d as integer) as frequency_orders_{{ days }}d,
        {%- endfor %}
        decayed_90d as frequency_decayed_90d,

        -- monetary
        spend_total as monetary_spend_total,
        spend_365d as monetary_spend_365d,

        -- basket
        {{ ratio('lines_total', 'orders_total') }} as basket_mean_lines,
        {{ ratio('log_quantity', 'line_count') }} as basket_mean_log_quantity,

        -- product
        cast(coalesce(products, 0) as integer) as product_distinct_total,
        {%- for days in windows %}
        cast(coalesce(new_products_{{ days }}d, 0) as integer) as product_new_{{ days }}d,
        {%- endfor %}
        {{ ratio('coalesce(products, 0)', 'lines_total') }} as product_distinct_per_line,
        mean_log_price as product_mean_log_price,
        -- a difference of sums: where all prices are one, all that is left of it are its last bits
        sqrt(case when log_price_variance > 0.0000000001 then log_price_variance else 0 end)
            as product_sd_log_price,
        {{ ratio('age_days', 'line_count') }} as product_mean_age_days,
        {{ ratio('log_popularity', 'line_count') }} as product_mean_log_popularity,

        -- category
        cast(coalesce(categories, 0) as integer) as category_distinct_total,
        cast(coalesce(new_categories_180d, 0) as integer) as category_new_180d
    from price_spreads

)

select * from final
