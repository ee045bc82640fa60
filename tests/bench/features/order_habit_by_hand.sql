-- The columns of feat_order_habit as an analyst would write them without dbt: orders joined to the
-- as-of dates at which they were known, one window for what lies between order days, one aggregate.
with dates as (

    select distinct as_of_date
    from intermediate.int_as_of_dates
    where prediction = 'order_habit'

),

-- What needs no as-of date is worked out once for each order.
orders as (

    select
        customer_id,
        ordered_on,
        known_on,
        superseded_on,
        line_count,
        quantity,
        gross_amount,
        net_amount,
        returned_line_count,
        returned_amount,
        cast(extract(month from ordered_on) as integer) as month_number,
        cast(floor((extract(month from ordered_on) % 12) / 3) as integer) + 1 as season,
        cast(extract(isodow from ordered_on) as integer) as weekday
    from intermediate.int_orders
    where customer_id is not null

),

known as (

    select
        d.as_of_date,
        d.as_of_date - o.ordered_on as age,
        o.*,
        lag(o.ordered_on) over w as order_before,
        min(o.ordered_on) over (partition by d.as_of_date, o.customer_id) as first_day,
        max(o.ordered_on) over (partition by d.as_of_date, o.customer_id) as last_day
    from dates as d
    inner join orders as o
        on
            o.ordered_on < d.as_of_date
            and o.known_on < d.as_of_date
            and (o.superseded_on is null or o.superseded_on >= d.as_of_date)
    window w as (partition by d.as_of_date, o.customer_id order by o.ordered_on)

),

gaps as (

    select
        *,
        case when ordered_on > order_before then ordered_on - order_before end as gap
    from known

),

totals as (

    select
        customer_id,
        as_of_date,
        min(age) as recency,
        max(age) as tenure,
        min(first_day) as first_day,
        count(*) as orders,
        count(gap) + 1 as days,
        count(*) filter (where age <= 7) as orders_7,
        count(*) filter (where age <= 30) as orders_30,
        count(*) filter (where age <= 90) as orders_90,
        count(*) filter (where age <= 180) as orders_180,
        count(*) filter (where age <= 365) as orders_365,
        count(*) filter (where age > 275 and age <= 365) as year_ago_90,
        count(*) filter (where age > 185 and age <= 365) as year_ago_180,
        sum(exp(-age * ln(2.0::float8) / 30)) as decayed_30,
        sum(exp(-age * ln(2.0::float8) / 90)) as decayed_90,
        sum(exp(-age * ln(2.0::float8) / 365)) as decayed_365,
        sum(net_amount) as spend,
        coalesce(sum(net_amount) filter (where age <= 7), 0) as spend_7,
        coalesce(sum(net_amount) filter (where age <= 30), 0) as spend_30,
        coalesce(sum(net_amount) filter (where age <= 90), 0) as spend_90,
        coalesce(sum(net_amount) filter (where age <= 180), 0) as spend_180,
        coalesce(sum(net_amount) filter (where age <= 365), 0) as spend_365,
        sum(net_amount * exp(-age * ln(2.0::float8) / 90)) as decayed_spend,
        avg(net_amount) as mean_value,
        stddev_samp(net_amount) as value_sd,
        max(net_amount) as largest,
        sum(net_amount) filter (where ordered_on = last_day) as last_spend,
        stddev_samp(gap::float8) as gap_sd,
        max(gap) as longest_gap,
        max(gap) filter (where ordered_on = last_day) as last_gap,
        count(*) filter (where weekday = 1) as w1,
        count(*) filter (where weekday = 2) as w2,
        count(*) filter (where weekday = 3) as w3,
        count(*) filter (where weekday = 4) as w4,
        count(*) filter (where weekday = 5) as w5,
        count(*) filter (where weekday = 6) as w6,
        count(*) filter (where weekday = 7) as w7,
        count(*) filter (where month_number = 1) as m1,
        count(*) filter (where month_number = 2) as m2,
        count(*) filter (where month_number = 3) as m3,
        count(*) filter (where month_number = 4) as m4,
        count(*) filter (where month_number = 5) as m5,
        count(*) filter (where month_number = 6) as m6,
        count(*) filter (where month_number = 7) as m7,
        count(*) filter (where month_number = 8) as m8,
        count(*) filter (where month_number = 9) as m9,
        count(*) filter (where month_number = 10) as m10,
        count(*) filter (where month_number = 11) as m11,
        count(*) filter (where month_number = 12) as m12,
        sum(line_count) as lines,
        sum(quantity) as units,
        sum(gross_amount) as gross,
        sum(returned_line_count) as returned_lines,
        sum(returned_amount) as returned_value,
        sum(net_amount) filter (where ordered_on = first_day) as first_spend,
        sum(gross_amount) filter (where ordered_on = first_day) as first_gross,
        sum(line_count) filter (where ordered_on = first_day) as first_lines
    from gaps
    group by customer_id, as_of_date

),

seasons as (

    select
        *,
        m12 + m1 + m2 as s1,
        m3 + m4 + m5 as s2,
        m6 + m7 + m8 as s3,
        m9 + m10 + m11 as s4,
        cast(extract(month from as_of_date) as integer) as this_month,
        cast(floor((extract(month from as_of_date) % 12) / 3) as integer) + 1 as this_season,
        greatest(w1, w2, w3, w4, w5, w6, w7) as most_weekday,
        greatest(m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12) as most_month
    from totals

),

items as (

    select
        v.customer_id,
        d.as_of_date,
        sum(v.product_change) as products,
        sum(v.category_change) as categories
    from dates as d
    inner join intermediate.int_customer_variety as v on v.changed_on < d.as_of_date
    group by v.customer_id, d.as_of_date

)

select
    s.customer_id,
    s.as_of_date,
    recency as recency_days,
    tenure as recency_tenure_days,
    recency::float8 / tenure as recency_over_tenure,
    recency::float8 * (days - 1) / nullif(tenure - recency, 0) as recency_over_mean_gap,
    recency::float8 / longest_gap as recency_over_longest_gap,
    orders as frequency_orders_total,
    orders_7 as frequency_orders_7d,
    orders_30 as frequency_orders_30d,
    orders_90 as frequency_orders_90d,
    orders_180 as frequency_orders_180d,
    orders_365 as frequency_orders_365d,
    days as frequency_order_days_total,
    decayed_30 as frequency_decayed_30d,
    decayed_90 as frequency_decayed_90d,
    decayed_365 as frequency_decayed_365d,
    orders / greatest(tenure / 30.4375::float8, 1) as frequency_orders_per_month,
    orders_90 - (orders_180 - orders_90) as frequency_trend_90d,
    orders_90::float8 / nullif(orders_180, 0) as frequency_share_90d_of_180d,
    spend as monetary_spend_total,
    spend_7 as monetary_spend_7d,
    spend_30 as monetary_spend_30d,
    spend_90 as monetary_spend_90d,
    spend_180 as monetary_spend_180d,
    spend_365 as monetary_spend_365d,
    decayed_spend as monetary_decayed_90d,
    mean_value as monetary_average_order_value,
    value_sd / nullif(mean_value, 0) as monetary_order_value_cv,
    largest as monetary_largest_order_value,
    last_spend as monetary_last_order_day_spend,
    spend / tenure as monetary_spend_per_day,
    spend_90 - (spend_180 - spend_90) as monetary_trend_90d,
    (tenure - recency)::float8 / nullif(days - 1, 0) as rhythm_mean_gap_days,
    gap_sd as rhythm_gap_sd_days,
    longest_gap as rhythm_longest_gap_days,
    last_gap as rhythm_last_gap_days,
    (w6 + w7)::float8 / orders as rhythm_weekend_share,
    case most_weekday
        when w1 then 1 when w2 then 2 when w3 then 3 when w4 then 4 when w5 then 5 when w6 then 6
        else 7
    end as rhythm_favourite_weekday,
    most_weekday::float8 / orders as rhythm_favourite_weekday_share,
    this_month as season_as_of_month,
    this_season as season_as_of_season,
    case this_season when 1 then s1 when 2 then s2 when 3 then s3 else s4 end::float8 / orders
        as season_share_of_as_of_season,
    s1::float8 / orders as season_share_december_to_february,
    s2::float8 / orders as season_share_march_to_may,
    s3::float8 / orders as season_share_june_to_august,
    s4::float8 / orders as season_share_september_to_november,
    case most_month
        when m1 then 1 when m2 then 2 when m3 then 3 when m4 then 4 when m5 then 5 when m6 then 6
        when m7 then 7 when m8 then 8 when m9 then 9 when m10 then 10 when m11 then 11 else 12
    end as season_favourite_month,
    case greatest(s1, s2, s3, s4) when s1 then 1 when s2 then 2 when s3 then 3 else 4 end
        as season_favourite_season,
    year_ago_90 as season_orders_year_ago_90d,
    year_ago_180 as season_orders_year_ago_180d,
    lines::float8 / orders as basket_mean_lines,
    units / orders as basket_mean_units,
    1 - spend / nullif(gross, 0) as basket_discount_share,
    coalesce(products, 0) as product_distinct_total,
    coalesce(products, 0)::float8 / lines as product_distinct_per_line,
    coalesce(categories, 0) as category_distinct_total,
    returned_lines::float8 / lines as return_share_of_lines,
    returned_value / nullif(spend, 0) as return_share_of_value,
    first_spend as attribute_first_order_value,
    first_lines as attribute_first_order_lines,
    1 - first_spend / nullif(first_gross, 0) as attribute_first_order_discount_share,
    cast(extract(month from first_day) as integer) as attribute_first_order_month,
    cast(extract(isodow from first_day) as integer) as attribute_first_order_weekday
from seasons as s
left join items as i on s.customer_id = i.customer_id and s.as_of_date = i.as_of_date
