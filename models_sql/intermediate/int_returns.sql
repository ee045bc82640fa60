{{ config(materialized=grows_by_load(), unique_key=['customer_id', 'order_id']) }}

with order_lines as (

    select * from {{ ref('int_order_lines') }}
    where {{ of_changed('owner') }}

),

matches as (

    select * from {{ ref('int_return_matches') }}
    where {{ of_changed('owner') }}

),

-- Said by the line itself. Without a date, a return is known once its window has closed.
stated as (

    select
        line_key as return_key,
        line_key,
        order_id,
        customer_id,
        product_id,
        ordered_on,
        coalesce(
            cast(returned_at as date),
            {{ add_days('ordered_on', var('return_window_days')) }}
        ) as returned_on,
        known_on,
        superseded_on,
        quantity,
        net_amount as amount,
        true as is_matched,
        returned_at is not null as is_dated,
        1 as returned_line_count
    from order_lines
    where returned = 1

),

-- Found by matching negative quantities: a line that comes back in parts counts once.
matched as (

    select
        return_key,
        line_key,
        order_id,
        customer_id,
        product_id,
        cast(ordered_at as date) as ordered_on,
        cast(returned_at as date) as returned_on,
        cast(known_at as date) as known_on,
        cast(null as date) as superseded_on,
        quantity,
        amount,
        is_matched,
        true as is_dated,
        case
            when line_key is null then 0
            when row_number() over (partition by line_key order by known_at, return_key) = 1 then 1
            else 0
        end as returned_line_count
    from matches

),

returns as (

    select * from stated
    union all
    select * from matched

),

final as (

    select
        return_key,
        line_key,
        order_id,
        customer_id,
        product_id,
        ordered_on,
        returned_on,
        -- nothing is known before it happened
        greatest(known_on, returned_on) as known_on,
        superseded_on,
        quantity,
        amount,
        returned_line_count,
        is_matched,
        is_dated
    from returns
    where superseded_on is null or superseded_on > greatest(known_on, returned_on)

)

select * from final
