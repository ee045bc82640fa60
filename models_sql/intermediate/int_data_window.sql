with order_lines as (

    select * from {{ ref('int_order_lines') }}

),

returns as (

    select * from {{ ref('int_returns') }}
    where is_dated

),

final as (

    select
        min(ordered_on) as first_on,
        greatest(
            max(ordered_on), (select max(returned_on) from returns)
        ) as newest_on
    from order_lines

)

select * from final
