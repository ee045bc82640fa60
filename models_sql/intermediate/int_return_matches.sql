{{ config(materialized=grows_by_load(), unique_key=['customer_id', 'order_id']) }}

with shop_lines as (

    select * from {{ ref_shop('order_lines') }}
    where {{ of_changed('line') }}

),

-- A correction does not move a match: only the first version of each row takes part.
first_versions as (

    select
        line_key,
        min(known_at) as known_at
    from shop_lines
    group by 1

),

returned_groups as (

    select distinct
        coalesce(customer_id, order_id) as match_group,
        coalesce(product_id, '') as product_id
    from shop_lines
    where quantity < 0

),

concerned_lines as (

    select
        shop_lines.load_id * 1000000000000000 + shop_lines.row_number as row_id,
        coalesce(shop_lines.customer_id, shop_lines.order_id) as match_group,
        coalesce(shop_lines.product_id, '') as product_id,
        shop_lines.line_key,
        shop_lines.order_id,
        shop_lines.customer_id,
        shop_lines.quantity,
        shop_lines.unit_price,
        shop_lines.discount,
        shop_lines.ordered_at,
        shop_lines.known_at,
        greatest(shop_lines.ordered_at, shop_lines.known_at) as effective_at
    from shop_lines
    inner join returned_groups
        on
            coalesce(shop_lines.customer_id, shop_lines.order_id) = returned_groups.match_group
            and coalesce(shop_lines.product_id, '') = returned_groups.product_id
    inner join first_versions
        on
            shop_lines.line_key = first_versions.line_key
            and shop_lines.known_at = first_versions.known_at

),

-- Of several versions that were known at the same time, the last one stands.
last_of_first_versions as (

    select
        line_key,
        max(row_id) as row_id
    from concerned_lines
    group by 1

),

candidates as (

    select concerned_lines.*
    from concerned_lines
    inner join last_of_first_versions on concerned_lines.row_id = last_of_first_versions.row_id

),

matches as (

    {{ match_returns('candidates') }}

),

final as (

    select
        return_rows.line_key as return_key,
        purchase_rows.line_key,
        coalesce(purchase_rows.order_id, return_rows.order_id) as order_id,
        return_rows.customer_id,
        nullif(return_rows.product_id, '') as product_id,
        purchase_rows.ordered_at,
        return_rows.ordered_at as returned_at,
        return_rows.known_at,
        matches.quantity,
        -- at the price it was bought for; at its own where the purchase is not known
        case
            when matches.purchase_row_id is null then matches.quantity * return_rows.unit_price
            else {{ quotient('matches.quantity', 'purchase_rows.quantity') }} * cast(
                purchase_rows.quantity * purchase_rows.unit_price * (1 - purchase_rows.discount)
                as {{ type_amount() }}
            )
        end as amount,
        matches.purchase_row_id is not null as is_matched
    from matches
    inner join candidates as return_rows on matches.return_row_id = return_rows.row_id
    left join candidates as purchase_rows on matches.purchase_row_id = purchase_rows.row_id
    where {{ of_changed('owner', 'return_rows') }}

)

select * from final
