with order_lines as (

    select * from {{ ref('int_order_lines') }}

),

returns as (

    select * from {{ ref('int_returns') }}
    where is_dated

),

last_return as (

    select max(returned_on) as returned_on from returns

),

final as (

    select
        min(order_lines.ordered_on) as first_on,
        greatest(max(order_lines.ordered_on), max(last_return.returned_on)) as newest_on
    from order_lines
    cross join last_return

)

select * from final
