{{ config(materialized=grows_by_load(), unique_key='line_key') }}

{%- set attributes = columns_like(ref_shop('order_lines'), 'attribute_line_') %}

with shop_lines as (

    select * from {{ ref_shop('order_lines') }}
    where quantity >= 0 and {{ of_changed('line') }}

),

products as (

    select * from {{ ref('int_products') }}

),

-- Most lines have one version; only the others need sorting.
corrected_keys as (

    select line_key
    from shop_lines
    group by 1
    having count(*) > 1

),

supersessions as (

    select
        shop_lines.load_id,
        shop_lines.row_number,
        lead(shop_lines.known_at) over (
            partition by shop_lines.line_key
            order by shop_lines.known_at, shop_lines.load_id, shop_lines.row_number
        ) as superseded_at
    from shop_lines
    inner join corrected_keys on shop_lines.line_key = corrected_keys.line_key

),

versions as (

    select
        shop_lines.*,
        supersessions.superseded_at,
        cast(shop_lines.ordered_at as date) as ordered_on,
        cast(shop_lines.known_at as date) as known_on,
        cast(greatest(shop_lines.known_at, shop_lines.ordered_at) as date) as counts_from,
        cast(supersessions.superseded_at as date) as superseded_on,
        cast(shop_lines.quantity * shop_lines.unit_price as {{ type_amount() }}) as gross_amount,
        cast(
            shop_lines.quantity * shop_lines.unit_price * (1 - shop_lines.discount)
            as {{ type_amount() }}
        ) as net_amount
    from shop_lines
    left join supersessions
        on
            shop_lines.load_id = supersessions.load_id
            and shop_lines.row_number = supersessions.row_number
    -- no units left: the line was taken out of its order, and only its end counts
    where shop_lines.quantity > 0

),

final as (

    select
        versions.line_key,
        versions.order_id,
        versions.line_id,
        versions.customer_id,
        versions.product_id,
        products.category,
        {%- for attribute in attributes %}
        versions.{{ attribute }},
        {%- endfor %}
        versions.ordered_at,
        versions.known_at,
        versions.superseded_at,
        versions.ordered_on,
        versions.known_on,
        versions.superseded_on,
        versions.returned,
        versions.returned_at,
        versions.quantity,
        versions.unit_price,
        versions.discount,
        versions.gross_amount,
        versions.net_amount,
        versions.load_id,
        versions.row_number
    from versions
    left join products
        on
            versions.product_id = products.product_id
            -- the category as it was known by the end of the day on which the line counts
            and {{ version_known_before('products', add_days('versions.counts_from', 1)) }}

)

select * from final
