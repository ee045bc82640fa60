{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'order_lines')) }}

with distinct_rows as (

    select * from {{ ref('stg_order_lines__rows') }}

),

fates as (

    select
        fate,
        count(*) as row_count,
        sum(quantity * unit_price) as amount
    from distinct_rows
    group by 1

),

copies as (

    select
        'exact_duplicate' as fate,
        sum(copies - 1) as row_count,
        sum((copies - 1) * quantity * unit_price) as amount
    from distinct_rows

),

final as (

    select * from fates
    union all
    select * from copies
    where row_count > 0

)

select * from final
