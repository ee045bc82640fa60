{{ config(indexes=[{'columns': ['as_of_date', 'item_level']}]) }}

{%- set windows = [7, 14, 30, 90, 180, 365] %}
{%- set half_lives = [14, 45] %}
{%- set attributes = attribute_features(
    ref('int_products'), 'product_versions', 'as_of_dates.as_of_date'
) %}

with as_of_dates as (

    {{ missing_as_of_dates('purchase_potential') }}

),

item_days as (

    select * from {{ ref('int_item_days') }}

),

product_versions as (

    select * from {{ ref('int_products') }}

),

products as (

    select
        as_of_dates.as_of_date,
        'product' as item_level,
        product_versions.product_id as item_id,
        {%- for attribute in attributes %}
        {{ attribute.sql }} as {{ attribute.name }},
        {%- endfor %}
        product_versions.category
    from as_of_dates
    inner join product_versions
        on {{ version_known_before('product_versions', 'as_of_dates.as_of_date') }}

),

categories as (

    select distinct
        as_of_date,
        'category' as item_level,
        category as item_id,
        {%- for attribute in attributes %}
        cast(null as {{ attribute.type }}) as {{ attribute.name }},
        {%- endfor %}
        category
    from products
    where category is not null

),

items as (

    select * from products
    union all
    select * from categories

),

known_days as (

    select
        as_of_dates.as_of_date,
        item_days.item_level,
        item_days.item_id,
        item_days.ordered_on,
        item_days.line_count,
        item_days.new_buyer_count,
        item_days.quantity,
        item_days.gross_amount,
        item_days.net_amount,
        {{ days_between('item_days.ordered_on', 'as_of_dates.as_of_date') }} as age_days
    from as_of_dates
    inner join item_days on {{ known_before('item_days', 'as_of_dates.as_of_date') }}

),

item_sales as (

    select
        as_of_date,
        item_level,
        item_id,
        min(age_days) as days_since_last,
        max(age_days) as days_since_first,
        sum(line_count) as lines_total,
        sum(new_buyer_count) as buyers_total,
        {%- for days in windows %}
        coalesce(sum(line_count) filter (where age_days <= {{ days }}), 0) as lines_{{ days }}d,
        coalesce(sum(new_buyer_count) filter (where age_days <= {{ days }}), 0)
            as new_buyers_{{ days }}d,
        {%- endfor %}
        {%- for days in half_lives %}
        sum(new_buyer_count * {{ decay('age_days', days) }}) as new_buyers_decayed_{{ days }}d,
        {%- endfor %}
        sum(new_buyer_count) filter (where age_days between 276 and 365) as new_buyers_year_ago_90d,
        sum(new_buyer_count) filter (where age_days between 366 and 455)
            as new_buyers_before_year_ago_90d,
        sum(quantity) as quantity,
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount,
        sum(net_amount) filter (where age_days <= 180) as net_amount_180d,
        sum(quantity) filter (where age_days <= 180) as quantity_180d
    from known_days
    group by 1, 2, 3

),

item_facts as (

    select
        items.item_level,
        items.item_id,
        items.as_of_date,
        items.category,
        {%- for attribute in attributes %}
        items.{{ attribute.name }},
        {%- endfor %}
        item_sales.days_since_last,
        item_sales.days_since_first,
        coalesce(item_sales.lines_total, 0) as lines_total,
        coalesce(item_sales.buyers_total, 0) as buyers_total,
        {%- for days in windows %}
        coalesce(item_sales.lines_{{ days }}d, 0) as lines_{{ days }}d,
        coalesce(item_sales.new_buyers_{{ days }}d, 0) as new_buyers_{{ days }}d,
        {%- endfor %}
        {%- for days in half_lives %}
        coalesce(item_sales.new_buyers_decayed_{{ days }}d, 0) as new_buyers_decayed_{{ days }}d,
        {%- endfor %}
        coalesce(item_sales.new_buyers_year_ago_90d, 0) as new_buyers_year_ago_90d,
        case
            when item_sales.days_since_first > 365
                then coalesce(item_sales.new_buyers_before_year_ago_90d, 0)
        end as new_buyers_before_year_ago_90d,
        item_sales.quantity,
        item_sales.gross_amount,
        item_sales.net_amount,
        {{ ratio(
            'coalesce(item_sales.net_amount_180d, item_sales.net_amount)',
            'coalesce(item_sales.quantity_180d, item_sales.quantity)',
        ) }} as mean_price
    from items
    left join item_sales
        on
            items.as_of_date = item_sales.as_of_date
            and items.item_level = item_sales.item_level
            and items.item_id = item_sales.item_id

),

-- Items without a price have no rank: they stand in a partition of their own.
price_ranks as (

    select
        *,
        percent_rank() over (
            partition by as_of_date, item_level, case when mean_price is null then 1 else 0 end
            -- as money: sums of doubles differ in their last bits, and equal prices share a rank;
            -- what lies half-way between two amounts is moved off, or those bits would round it
            order by cast(mean_price + 0.000000001 as {{ type_amount() }})
        ) as price_rank
    from item_facts

),

final as (

    select
        item_level,
        item_id,
        as_of_date,

        -- product
        cast(days_since_first as integer) as product_age_days,
        cast(days_since_last as integer) as product_days_since_last_sale,
        cast(lines_total as integer) as product_lines_total,
        cast(buyers_total as integer) as product_buyers_total,
        {%- for days in windows %}
        {{ per_thousand('lines_' ~ days ~ 'd', 'same_level') }} as product_line_share_{{ days }}d,
        {%- endfor %}
        {%- for days in windows %}
        {{ per_thousand('new_buyers_' ~ days ~ 'd', 'same_level') }}
            as product_new_buyer_share_{{ days }}d,
        {%- endfor %}
        {%- for days in half_lives %}
        {{ per_thousand('new_buyers_decayed_' ~ days ~ 'd', 'same_level') }}
            as product_new_buyer_share_decayed_{{ days }}d,
        {%- endfor %}
        {{ ratio('new_buyers_7d + 0.5', '(' ~ quotient('new_buyers_30d * 7.0', 30) ~ ') + 0.5') }}
            as product_trend_7d,
        {{ ratio('new_buyers_30d + 1', '(' ~ quotient('new_buyers_90d', 3.0) ~ ') + 1') }}
            as product_trend_30d,
        {{ ratio('new_buyers_90d + 1', '(' ~ quotient('new_buyers_180d', 2.0) ~ ') + 1') }}
            as product_trend_90d,
        {{ ratio('lines_total', 'buyers_total') }} as product_lines_per_buyer,
        {{ ratio('quantity', 'lines_total') }} as product_mean_quantity,
        mean_price as product_mean_price,
        case when mean_price is not null then price_rank end as product_price_rank,
        {{ ratio('gross_amount - net_amount', 'gross_amount') }} as product_discount_share,

        -- season
        {{ per_thousand('new_buyers_year_ago_90d', 'same_level') }}
            as season_new_buyer_share_year_ago_90d,
        {{ ratio('new_buyers_year_ago_90d + 1', 'new_buyers_before_year_ago_90d + 1') }}
            as season_rise_year_ago_90d,

        -- attribute
        {%- for attribute in attributes %}
        {{ attribute.name }},
        {%- endfor %}

        -- category
        category as category_name
    from price_ranks
    window same_level as (partition by as_of_date, item_level)

)

select * from final
